"""Asynchronous successive halving that remembers its rungs over an interruption.

Tune never stores a scheduler: a resumed ASHA starts with empty rungs and lets every trial run on (seen: 14 full runs
instead of 7). The rung values are all in Optuna's intermediate values, so they are played back from there.
"""

import math
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import ASHAScheduler

from sepl.tuning.names import METRIC, TIME_ATTR

REDUCTION_FACTOR = 3  # Li et al., MLSys 2020: one trial in three goes on from each rung


class RememberingASHA(ASHAScheduler):
    """ASHA over epochs on best-so-far skill. `finished` holds the {epoch: skill} of trials of earlier drivers."""

    def __init__(self, *, num_epochs: int, grace_epochs: int = 1, finished: Iterable[Mapping[int, float]] = ()) -> None:
        super().__init__(
            time_attr=TIME_ATTR,
            metric=METRIC,
            mode="max",
            max_t=num_epochs,
            grace_period=min(grace_epochs, num_epochs),
            reduction_factor=REDUCTION_FACTOR,
        )
        for number, values in enumerate(finished):
            self._play_back(f"finished-{number}", values.items())

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        super().on_trial_add(tune_controller, trial)
        self._play_back(trial.trial_id, trial.config.get("earlier", ()))

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        if math.isfinite(result.get(METRIC, math.nan)):  # a diverged trial says nothing about a rung
            super().on_trial_complete(tune_controller, trial, result)

    def rungs(self) -> list[tuple[int, int]]:
        """Each rung's epoch with the number of trials that reached it, from the first."""
        return [(int(epoch), len(recorded)) for epoch, recorded in reversed(self._brackets[0]._rungs)]

    def _play_back(self, trial_id: str, values: Iterable[tuple[int, float]]) -> None:
        for epoch, skill in sorted(values):
            if epoch < self._max_t:
                self._brackets[0].on_result(SimpleNamespace(trial_id=trial_id), epoch, skill)  # pyright: ignore[reportArgumentType]
