"""From a command to the first result of a trial: `jobs.search` against a plain Ray Tune script.

    python -m benchmarks.support.turnover.start DATASET FOLDER

is that script: Optuna, ASHA, a class trainable that builds the same network, reuse_actors; nothing is checked, kept or
shown. It says when its first result has come.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.support.turnover import space as turnover_space

_FIRST = "the first result has come"
_METRIC: dict[str, Any] = {"metric": "best_skill", "mode": "max"}
_MOST_SECONDS = 300.0


def seconds_to_first_result(dataset: str, folder: Path) -> dict[str, float]:
    """Of both commands, one after the other, each in a process and a Ray of its own."""
    plain = [sys.executable, "-m", "benchmarks.support.turnover.start", dataset, str(folder / "plain")]
    where = ["--data", dataset, "--space", turnover_space.__name__, "--storage", str(folder / "runs")]
    ours = [sys.executable, "-m", "jobs.search", *where, "--study", "start", "--num-trials", "4"]
    database = folder / "runs" / "start" / "optuna.db"
    return {
        "plain": _seconds_until(plain, folder / "plain.log", lambda log: _FIRST in log.read_text()),
        "sepl": _seconds_until(ours, folder / "sepl.log", lambda _: _has_value(database)),
    }


def _seconds_until(command: list[str], log: Path, has_come: Callable[[Path], bool]) -> float:
    start = time.perf_counter()
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:  # noqa: S603
        while not has_come(log):
            if process.poll() is not None or time.perf_counter() - start > _MOST_SECONDS:
                process.kill()
                raise RuntimeError(f"no first result: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        seconds = time.perf_counter() - start
        process.send_signal(signal.SIGINT)
    return seconds


def _has_value(database: Path) -> bool:
    if not database.exists():
        return False
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as reading:
            return bool(reading.execute("SELECT 1 FROM trial_intermediate_values LIMIT 1").fetchall())
    except sqlite3.OperationalError:  # its tables are being made
        return False


class _Plain(tune.Trainable):
    def setup(self, config: dict[str, Any]) -> None:
        from sepl.config import TrialConfig
        from sepl.data.dataset.dataset import PreparedDataset
        from sepl.training.input.batches import TrainingData
        from sepl.training.supervised.run import TrainingRun

        params = {name: value for name, value in config.items() if name != "dataset"}
        data = TrainingData.load(PreparedDataset.open(config["dataset"]))
        self._run = TrainingRun(TrialConfig.from_params(params), data)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        return {"best_skill": self._run.run_epoch().best_skill}


class _Say(tune.Callback):
    def on_trial_result(self, *args: Any, **event: Any) -> None:  # noqa: ARG002 - Tune's signature
        print(_FIRST, flush=True)


def _run_plain(dataset: str, folder: str) -> None:
    os.environ["RAY_AUTH_MODE"] = "disabled"
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    tune.Tuner(
        tune.with_resources(_Plain, {"cpu": 1}),
        param_space={"dataset": dataset},
        tune_config=tune.TuneConfig(
            search_alg=OptunaSearch(turnover_space.space, **_METRIC),
            scheduler=ASHAScheduler(max_t=turnover_space.NUM_EPOCHS, grace_period=1, reduction_factor=3, **_METRIC),
            num_samples=4,
            max_concurrent_trials=2,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(name="plain", storage_path=folder, verbose=0, callbacks=[_Say()]),
    ).fit()


if __name__ == "__main__":
    _run_plain(sys.argv[1], sys.argv[2])
