"""Asynchronous successive halving that remembers its rungs over an interruption.

Tune never stores a scheduler: a resumed ASHA starts with empty rungs and lets every trial run on (seen: 14 full runs
instead of 7). The rung values are all in Optuna's intermediate values, so they are played back from there. Ray's own
ASHA keeps its rungs to itself; this one stops the same trials.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from sepl.tuning.search.names import METRIC, TIME_ATTR

REDUCTION_FACTOR = 3  # Li et al., MLSys 2020: one trial in three goes on from each rung


class RememberingASHA(FIFOScheduler):
    """ASHA over epochs on best-so-far skill. `finished` holds the {epoch: skill} of trials of earlier drivers."""

    def __init__(self, *, num_epochs: int, grace_epochs: int = 1, finished: Iterable[Mapping[int, float]] = ()) -> None:
        super().__init__()
        self._num_epochs = num_epochs
        self._skills: dict[int, dict[str, float]] = {epoch: {} for epoch in _rung_epochs(num_epochs, grace_epochs)}
        for number, values in enumerate(finished):
            self._play_back(f"finished-{number}", values.items())

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:  # noqa: ARG002
        """Tune offers names for what this one reads already."""
        return metric is None and mode is None

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:  # noqa: ARG002 - Tune's signature
        self._play_back(trial.trial_id, trial.config.get("earlier", ()))

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:  # noqa: ARG002
        if TIME_ATTR not in result or METRIC not in result:
            return TrialScheduler.CONTINUE
        if result[TIME_ATTR] >= self._num_epochs:
            return TrialScheduler.STOP
        goes_on = self._judge(trial.trial_id, result[TIME_ATTR], result[METRIC])
        return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:  # noqa: ARG002
        if TIME_ATTR in result and math.isfinite(result.get(METRIC, math.nan)):  # a diverged trial says nothing
            self._judge(trial.trial_id, result[TIME_ATTR], result[METRIC])

    def rungs(self) -> list[tuple[int, int]]:
        """Each rung's epoch with the number of trials that reached it, from the first."""
        return [(epoch, len(skills)) for epoch, skills in self._skills.items()]

    def skills(self) -> list[list[float]]:
        """What was recorded at each rung, from the first."""
        return [sorted(skills.values()) for skills in self._skills.values()]

    def _judge(self, trial_id: str, epoch: int, skill: float) -> bool:
        """Records the skill at the highest rung that the trial has newly reached; whether it goes on from there."""
        for rung in reversed(self._skills):
            skills = self._skills[rung]
            if rung <= epoch and trial_id not in skills:
                goes_on = not skills or not skill < _cutoff(skills.values())
                skills[trial_id] = skill
                return goes_on
        return True

    def _play_back(self, trial_id: str, values: Iterable[tuple[int, float]]) -> None:
        for epoch, skill in sorted(values):
            if epoch < self._num_epochs:
                self._judge(trial_id, epoch, skill)


def _rung_epochs(num_epochs: int, grace_epochs: int) -> list[int]:
    epochs = [min(grace_epochs, num_epochs)]
    while epochs[-1] * REDUCTION_FACTOR <= num_epochs:
        epochs.append(epochs[-1] * REDUCTION_FACTOR)
    return epochs


def _cutoff(skills: Iterable[float]) -> float:
    return float(np.nanpercentile(list(skills), (1 - 1 / REDUCTION_FACTOR) * 100))
