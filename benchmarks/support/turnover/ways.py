"""The ways of running trials that `benchmarks.trial_turnover` compares; each is called in a process of its own."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import optuna
import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.support.turnover import space as turnover_space
from sepl.data.dataset.dataset import PreparedDataset
from sepl.tuning.plan import plan_study
from sepl.tuning.search.names import METRIC
from sepl.tuning.settings import StudySettings
from sepl.tuning.study import run_study
from sepl.tuning.trials.cluster import connect

NUM_CPUS, SEED = 2, 0
_STILL_S = 2.0


@dataclass(frozen=True)
class Turnover:
    """What one way took."""

    seconds: float
    """From an idle cluster to the end of the last trial."""
    seconds_before: float
    """To start Ray and have its first workers idle."""
    num_trials: int
    num_iterations: int
    num_processes: int
    """That ran trials."""

    def measured(self) -> dict[str, Any]:
        return asdict(self)


def run_sepl(dataset: str, folder: Path, num_trials: int) -> Turnover:
    settings = StudySettings(
        data=dataset,
        space=turnover_space.__name__,
        storage=str(folder),
        study="turnover",
        num_trials=num_trials,
        seed=SEED,
    )
    start = time.perf_counter()
    with connect(None) as cluster:
        _wait_until_idle()
        idle = time.perf_counter()
        result = run_study(plan_study(settings), cluster)
        end = time.perf_counter()
    folders = (folder / "turnover" / "tune" / "run-000").glob("trial-*")
    epochs = sum(row.num_epochs for row in result.board.root)
    return Turnover(end - idle, idle - start, len(result.board.root), epochs, _num_processes(folders))


def run_function(dataset: str, folder: Path, num_trials: int) -> Turnover:
    return _run_stock(_function, {}, dataset, folder, num_trials)


def run_class(dataset: str, folder: Path, num_trials: int) -> Turnover:
    return _run_stock(_Class, {}, dataset, folder, num_trials)


def run_class_reused(dataset: str, folder: Path, num_trials: int) -> Turnover:
    return _run_stock(_Class, {"reuse_actors": True}, dataset, folder, num_trials)


def _run_stock(
    trainable: Callable[..., Any] | type[tune.Trainable],
    options: dict[str, Any],
    dataset: str,
    folder: Path,
    num_trials: int,
) -> Turnover:
    """As in Ray's own examples of Optuna with ASHA, the search space and the settings being ours."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    start = time.perf_counter()
    with _stock_ray():
        _wait_until_idle()
        idle = time.perf_counter()
        judged: dict[str, Any] = {"metric": METRIC, "mode": "max"}
        sampler = optuna.samplers.TPESampler(seed=SEED)
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),
            param_space={"surroundings": _surroundings(dataset)},
            tune_config=tune.TuneConfig(
                search_alg=OptunaSearch(turnover_space.space, sampler=sampler, **judged),
                scheduler=ASHAScheduler(max_t=turnover_space.NUM_EPOCHS, grace_period=1, reduction_factor=3, **judged),
                num_samples=num_trials,
                max_concurrent_trials=NUM_CPUS,
                **options,
            ),
            run_config=tune.RunConfig(name="turnover", storage_path=str(folder), verbose=0),
        )
        results = tuner.fit()
        end = time.perf_counter()
    epochs = sum(result.metrics["training_iteration"] for result in results if result.metrics)
    return Turnover(end - idle, idle - start, len(results), epochs, _num_processes((folder / "turnover").glob("*_*")))


@contextmanager
def _stock_ray() -> Iterator[None]:
    ray.init(address="local", num_cpus=NUM_CPUS, include_dashboard=False, log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()


def _wait_until_idle() -> None:
    """Until the processes of this Ray have hardly used the CPU for a while. A task would not do to find out: Ray gives
    no actor to a worker that has run a task.
    """
    while True:
        before = _descendants_cpu_seconds()
        time.sleep(_STILL_S)
        if _descendants_cpu_seconds() - before < 0.15 * _STILL_S:
            return


def _descendants_cpu_seconds() -> float:
    stats = dict(filter(None, map(_read_stat, Path("/proc").glob("[0-9]*"))))
    ours = {os.getpid()}
    while grown := {pid for pid, (parent, _) in stats.items() if parent in ours} - ours:
        ours |= grown
    return sum(ticks for pid, (_, ticks) in stats.items() if pid in ours) / os.sysconf("SC_CLK_TCK")


def _read_stat(process: Path) -> tuple[int, tuple[int, int]] | None:
    """Its id, with its parent's and the CPU time that it has used; None when it has just ended. See proc(5)."""
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(process.name), (int(fields[1]), int(fields[11]) + int(fields[12]))


def _function(config: dict[str, Any]) -> None:
    run = _build(config)
    while not run.finished:
        tune.report({METRIC: run.run_epoch().best_skill})


class _Class(tune.Trainable):
    def setup(self, config: dict[str, Any]) -> None:
        self._run = _build(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._run = _build(new_config)
        return True

    def step(self) -> dict[str, Any]:
        return {METRIC: self._run.run_epoch().best_skill}

    def save_checkpoint(self, checkpoint_dir: str) -> None:  # Ray asks a class for one at a trial's end
        self._run.save(Path(checkpoint_dir))

    def load_checkpoint(self, checkpoint: Any) -> None:
        self._run.restore(Path(checkpoint))


def _build(config: dict[str, Any]) -> Any:
    from sepl.tuning.trials.trial_process import Surroundings, build_run, take_share

    surroundings = Surroundings.parse(config["surroundings"], "surroundings")
    take_share(surroundings)
    return build_run({name: value for name, value in config.items() if name != "surroundings"}, surroundings)


def _surroundings(dataset: str) -> dict[str, Any]:
    fingerprint = PreparedDataset.open(dataset).fingerprint
    return {
        "dataset": dataset,
        "fingerprint": fingerprint,
        "storage": dataset,
        "cpus": 1,
        "gpus": 0.0,
        "checkpoint_seconds": 3600.0,
    }


def _num_processes(trial_folders: Iterator[Path]) -> int:
    files = [folder / "result.json" for folder in trial_folders]
    return len({json.loads(file.read_text().splitlines()[0])["pid"] for file in files if file.exists()})
