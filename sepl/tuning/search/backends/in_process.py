"""Trials in this process, one epoch after the other: what a notebook searches with, and a debugger can stop in."""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sepl.config import TrialConfig
from sepl.errors import SeplError
from sepl.memory import free_memory
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun
from sepl.tuning.search.backends.loop import Result
from sepl.tuning.search.names import IS_LAST, METRIC, TIME_ATTR


class InProcessBackend:
    """Trains one trial at a time; one that is kept lies in `folder` until it goes on, and needs no memory."""

    def __init__(self, data: TrainingData, folder: Path) -> None:
        self.num_workers = 1
        self._data, self._folder = data, folder
        self._trial = -1
        self._params: Mapping[str, Any] = {}
        self._run: TrainingRun | None = None

    def start(self, config: Mapping[str, Any]) -> None:
        self._trial, self._params = config["number"], config["params"]

    def next_result(self) -> tuple[int, Result]:
        """Divergence, a wrong config or a full GPU end this trial and no other."""
        started = time.monotonic()
        try:
            if self._run is None:
                self._run = self._build()
            epoch = self._run.run_epoch()
        except (SeplError, torch.OutOfMemoryError) as problem:
            return self._trial, {METRIC: math.nan, "failure": str(problem).partition("\n")[0]}
        return self._trial, {
            METRIC: epoch.best_skill,
            TIME_ATTR: epoch.epoch,
            IS_LAST: epoch.is_last,
            "time_this_iter_s": time.monotonic() - started,
            **{f"skills/{task}": skill for task, skill in epoch.skill_per_task.items()},
        }

    def go_on(self, trial: int) -> None:
        """Nothing: its next epoch comes when it is asked for."""

    def end(self, trial: int, *, is_kept: bool) -> None:
        if is_kept and self._run is not None:
            self._place(trial).mkdir(exist_ok=True)
            self._run.save(self._place(trial))
        self._run = None
        free_memory()

    def _build(self) -> TrainingRun:
        run = TrainingRun(TrialConfig.from_params(dict(self._params)), self._data)
        if self._place(self._trial).exists():
            run.restore(self._place(self._trial))
        return run

    def _place(self, trial: int) -> Path:
        return self._folder / f"trial-{trial:05d}"
