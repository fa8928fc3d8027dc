"""Learning curves of every configuration of a search, really trained once, for searches to be replayed on.

    python -m benchmarks.search_table --out benchmarks/results/2026-11-29-search_table.parquet

Draws configurations of a search space at random (seeded), trains each to its end on a simulated cohort and keeps every
epoch: one row a configuration and epoch. `python -m benchmarks.search_power --table FILE` replays searches on it in
seconds. Curves are kept one file a configuration beside the table until it is whole: interrupted, the same command goes
on. Columns:

- config                  number of the configuration, in the order in which they were drawn
- params.NAME             its hyperparameters; absent (null) where the space did not ask for one
- epoch, skill            mean skill over the tasks on the validation patients, NaN from the epoch where it diverged
- best_skill              the best so far, by which a search judges
- seconds                 of the processor, of that epoch and its validation
- test_skill              of the best epoch's network on the sealed test patients, in the row of the last epoch

Schema metadata: `sepl.space`, a JSON list of {name, kind, low, high, log, choices}, and `sepl.cohort`.
"""

import argparse
import json
import math
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.support.cohorts import simulated_dataset
from benchmarks.support.pace import Pace
from benchmarks.support.skills import best_network, skills_of_network
from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import DivergedError
from sepl.storage import resolve
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun
from sepl.tuning.space.space import load_space

_IMAGE_SIZE = 48


@dataclass(frozen=True)
class Drawn:
    """One configuration: its number, what the space was asked, and all that a trial needs."""

    number: int
    params: dict[str, Any]
    config: dict[str, Any]


def main() -> None:
    options = _options()
    out = Path(options.out)
    curves = out.with_suffix(".curves")
    curves.mkdir(parents=True, exist_ok=True)
    drawn, space = draw(options.space, options.num_configs, options.num_epochs, options.seed)
    with tempfile.TemporaryDirectory() as folder:
        data = simulated_dataset(Path(folder), options.num_patients, image_size=_IMAGE_SIZE, seed=options.seed)
        _train_missing(drawn, data, curves, options.num_processes)
        cohort = {"num_patients": options.num_patients, "image_size": _IMAGE_SIZE, "seed": options.seed}
        cohort["fingerprint"] = PreparedDataset.open(data).fingerprint
    write_table(out, drawn, curves, space, cohort)
    print(f"written: {out}; {curves} can be deleted")


def draw(space: str, num_configs: int, num_epochs: int, seed: int) -> tuple[list[Drawn], list[dict[str, Any]]]:
    """Different configurations, drawn at random, and the space's hyperparameters."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    question = load_space(space)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    found: dict[str, Drawn] = {}
    asked: dict[str, Any] = {}
    while len(found) < num_configs:
        trial = study.ask()
        constants = question.propose(trial)
        asked |= trial.distributions
        config = {**constants, **trial.params, "num_epochs": num_epochs}
        found.setdefault(json.dumps(trial.params, sort_keys=True), Drawn(len(found), trial.params, config))
    return list(found.values()), [_described(name, distribution) for name, distribution in sorted(asked.items())]


def train_curve(drawn: Drawn, data: str) -> list[dict[str, Any]]:
    """A row an epoch; the curve of a network that diverges is NaN from there on."""
    torch.set_num_threads(1)
    dataset = PreparedDataset.open(data)
    config = TrialConfig.from_params(drawn.config)
    rows: list[dict[str, Any]] = []
    try:
        patients = TrainingData.load(dataset)
        run = TrainingRun(config, patients)
        while not run.finished:
            start = time.process_time()
            result = run.run_epoch()
            rows.append(_row(drawn, result.epoch, result.validation_skill, result.best_skill, start))
        skills_BT = skills_of_network(best_network(run, config, patients), config, dataset)
        rows[-1]["test_skill"] = float(np.nanmean(skills_BT[0]))
    except DivergedError:
        start = time.process_time()
        left = range(len(rows) + 1, config.training.num_epochs + 1)
        rows += [_row(drawn, epoch, math.nan, math.nan, start) for epoch in left]
    return rows


def write_table(
    out: Path, drawn: list[Drawn], curves: Path, space: list[dict[str, Any]], cohort: dict[str, Any]
) -> None:
    rows = [row for one in drawn for row in json.loads(_curve_file(curves, one).read_text())]
    names = [described["name"] for described in space]
    columns: dict[str, pa.Array] = {"config": pa.array([row["config"] for row in rows], pa.int32())}
    for name in names:
        columns[f"params.{name}"] = pa.array([drawn[row["config"]].params.get(name) for row in rows])
    columns["epoch"] = pa.array([row["epoch"] for row in rows], pa.int32())
    for name in ("skill", "best_skill", "seconds", "test_skill"):
        columns[name] = pa.array([row.get(name) for row in rows], pa.float64())
    told = {"sepl.space": json.dumps(space), "sepl.cohort": json.dumps(cohort)}
    pq.write_table(pa.table(columns).replace_schema_metadata(told), out, compression="zstd")


def _train_missing(drawn: list[Drawn], data: str, curves: Path, num_processes: int) -> None:
    missing = [one for one in drawn if not _curve_file(curves, one).exists()]
    pace = Pace(max(len(missing), 1))
    with ProcessPoolExecutor(num_processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(train_curve, one, data): one for one in missing}
        for future in as_completed(running):
            rows = future.result()
            resolve(str(_curve_file(curves, running[future]))).write_bytes(json.dumps(rows).encode())
            print(f"{pace.finish_run()}: best {max((row['best_skill'] for row in rows), default=math.nan):.3f}")


def _row(drawn: Drawn, epoch: int, skill: float, best_skill: float, start: float) -> dict[str, Any]:
    seconds = time.process_time() - start
    return {"config": drawn.number, "epoch": epoch, "skill": skill, "best_skill": best_skill, "seconds": seconds}


def _curve_file(curves: Path, drawn: Drawn) -> Path:
    return curves / f"{drawn.number:05d}.json"


def _described(name: str, distribution: Any) -> dict[str, Any]:
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return {"name": name, "kind": "categorical", "choices": list(distribution.choices)}
    kind = "int" if isinstance(distribution, optuna.distributions.IntDistribution) else "float"
    bounds = {"low": distribution.low, "high": distribution.high, "log": distribution.log}
    return {"name": name, "kind": kind, **bounds}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, metavar="PATH", help="Parquet file to write")
    parser.add_argument("--space", default="search_spaces/smoke.py")
    parser.add_argument("--num-configs", type=int, default=300)
    parser.add_argument("--num-epochs", type=int, default=27)
    parser.add_argument("--num-patients", type=int, default=400)
    parser.add_argument("--num-processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
