"""What a trial costs beside its training: our Trainable against Ray Tune's stock ways, on the same short iterations.

    python -m benchmarks.trial_turnover --json out.json [--quick]

Twenty trials of at most nine iterations on two CPUs, two at once. An iteration is one real epoch of a tiny network on a
tiny prepared dataset. Optuna's sampler and seed, ASHA and the hyperparameters are the same for all:

- function        a function trainable with Ray's defaults: a new process for every trial
- class           a class trainable with Ray's defaults
- class_reused    the same with reuse_actors=True
- sepl            SeplTrainable as jobs.search runs it: its cluster, searcher, database, checkpoints and progress

Before them the start is compared: from the command to the first result of a trial, `jobs.search` against a plain Tune
script with a class trainable and reuse_actors (benchmarks/support/turnover/start.py).

Each runs in a process and a Ray of its own. The clock of the ratio (function / sepl) starts when that Ray is up and its
first workers are idle, which for sepl means that they have imported torch; the seconds before are printed beside it, as
is the ratio with them. The stock ways keep their trials in memory and save no checkpoint, which favours them.
"""

import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from benchmarks.support.cohorts import simulated_dataset
from benchmarks.support.report import benchmark_parser, report
from benchmarks.support.turnover.start import seconds_to_first_result
from benchmarks.support.turnover.ways import Turnover, run_class, run_class_reused, run_function, run_sepl

_WAYS = {"function": run_function, "class": run_class, "class_reused": run_class_reused, "sepl": run_sepl}
_QUICK_WAYS = ("function", "sepl")


def main() -> None:
    options = benchmark_parser(__doc__).parse_args()
    num_trials = 8 if options.quick else 20
    os.environ["RAY_AUTH_MODE"] = "disabled"  # else Ray writes a token into the home folder
    with tempfile.TemporaryDirectory() as folder:
        dataset = simulated_dataset(Path(folder), 60, image_size=32, seed=0)
        print("start: until the first result of the first trial", flush=True)
        start = seconds_to_first_result(dataset, Path(folder))
        taken: dict[str, Turnover] = {}
        for name in _QUICK_WAYS if options.quick else _WAYS:
            print(f"{name}: {num_trials} trials", flush=True)
            taken[name] = _in_new_process(_WAYS[name], dataset, Path(folder) / name, num_trials)
    ours = taken["sepl"]
    report(
        options,
        name="trial_turnover",
        ratio=taken["function"].seconds / ours.seconds,
        against="wall time of a stock Ray function trainable with Ray's defaults over ours, from an idle cluster",
        n=num_trials,
        measured={
            **{name: turnover.measured() for name, turnover in taken.items()},
            "over_ours": {name: turnover.seconds / ours.seconds for name, turnover in taken.items()},
            "start": {**start, "plain_over_ours": start["plain"] / start["sepl"]},
            "over_ours_with_start": {name: _whole(turnover) / _whole(ours) for name, turnover in taken.items()},
        },
    )


def _whole(turnover: Turnover) -> float:
    return turnover.seconds_before + turnover.seconds


def _in_new_process(way: Callable[[str, Path, int], Turnover], dataset: str, folder: Path, num_trials: int) -> Turnover:
    """Nothing that one way imports or sets reaches the next."""
    folder.mkdir()
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(way, dataset, folder, num_trials).result()


if __name__ == "__main__":
    main()
