"""Looks after each finished trial whether the search has become flat, and tells its budget."""

import math
from collections.abc import Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from ray.tune import Callback

from sepl.tuning.record.attributes import FROM_STUDY
from sepl.tuning.search.budget import Budget
from sepl.tuning.search.flatness import Flatness, PatientCounts, judge, noise_of
from sepl.tuning.search.names import SKILL_ERROR
from sepl.tuning.search.searcher import TruthfulOptunaSearch

_SKILLS = "skills"


class FlatWatch(Callback):
    """Of a search for `num_trials` trials of its own; fewer when another budget will be spent first."""

    def __init__(
        self, searcher: TruthfulOptunaSearch, budget: Budget, patients: PatientCounts, *, num_trials: int
    ) -> None:
        self._searcher, self._budget, self._patients = searcher, budget, patients
        self._num_trials = num_trials

    def on_trial_complete(self, *args: Any, **event: Any) -> None:  # noqa: ARG002 - Tune's signature
        trials = self._searcher.study.get_trials(deepcopy=False)
        self._budget.flatness = flatness_of(trials, self._total(trials), self._patients)

    def _total(self, trials: Sequence[FrozenTrial]) -> int:
        num_finished = sum(trial.state.is_finished() and FROM_STUDY not in trial.user_attrs for trial in trials)
        share = self._budget.share_spent
        return self._num_trials if not share else min(self._num_trials, math.ceil(num_finished / share))

    def __getstate__(self) -> dict[str, Any]:
        return {}  # for a snapshot of Tune's that is never read


def flatness_of(trials: Sequence[FrozenTrial], num_total: int, patients: PatientCounts) -> Flatness | None:
    """Of Optuna's trials, another study's left out; None while too few have a result, or none ran to its end."""
    judged = [
        trial
        for trial in trials
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        and trial.intermediate_values
        and FROM_STUDY not in trial.user_attrs
    ]
    complete = [trial for trial in judged if trial.state == TrialState.COMPLETE]
    if not complete:
        return None
    judged.sort(key=lambda trial: (trial.datetime_complete is None, trial.datetime_complete, trial.number))
    best = max(complete, key=_skill)
    noise = best.user_attrs.get(SKILL_ERROR) or noise_of(best.user_attrs.get(_SKILLS, {}), patients)
    return judge([_skill(trial) for trial in judged], num_total, noise)


def _skill(trial: FrozenTrial) -> float:
    return max(trial.intermediate_values.values())
