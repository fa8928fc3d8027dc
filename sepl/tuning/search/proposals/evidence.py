"""What the trials of a study have shown so far, on one scale although they ended at different epochs."""

import math
from dataclasses import dataclass

import numpy as np
from optuna import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sepl.tuning.record.attributes import CRASHED

_PAUSED = "paused"
"""Attribute that a trial has of the searcher."""

NUM_STARTUP = 10
"""Trials with a value before anything is learnt from them; TPE's own number."""

Curve = list[tuple[float, float]]
"""Steps, rising, with the value at each, the higher the better."""


@dataclass(frozen=True)
class Evidence:
    """Of one moment. Trials are in the order of their numbers."""

    judged: tuple[FrozenTrial, ...]
    """Those that say something of their configuration: run to the end, stopped early, paused, or failed by what they
    computed (diverged, refused). A process that died says nothing."""
    running: tuple[FrozenTrial, ...]
    curves: dict[int, Curve]
    """Of the trials of both kinds that have a value, by number."""

    @classmethod
    def of(cls, study: Study, but: int) -> "Evidence":
        """All trials of the study except number `but`, which is being proposed."""
        sign = 1.0 if study.direction == StudyDirection.MAXIMIZE else -1.0
        trials = [trial for trial in study.get_trials(deepcopy=False) if trial.number != but]
        curves = {trial.number: curve for trial in trials if (curve := _curve(trial, sign))}
        return cls(
            judged=tuple(trial for trial in trials if _says_something(trial, curves)),
            running=tuple(trial for trial in trials if trial.state == TrialState.RUNNING and not _is_paused(trial)),
            curves=curves,
        )

    @property
    def has_started(self) -> bool:
        """Whether there is enough to learn from."""
        return sum(not _is_failed(trial) for trial in self.judged) >= NUM_STARTUP

    def last_value(self, trial: FrozenTrial) -> float:
        """At its last step, whatever that was; −inf of one that failed."""
        return -math.inf if _is_failed(trial) else self.curves[trial.number][-1][1]

    def ranks(self) -> dict[int, float]:
        """Of each judged trial, by number: its place at its last step among all trials that came so far, running ones
        among them, in (0, 1] and 1 the best; trials that tie share the mean of their places. 0 of one that failed."""
        values_at: dict[float, np.ndarray] = {}
        ranks: dict[int, float] = {}
        for trial in self.judged:
            if _is_failed(trial):
                ranks[trial.number] = 0.0
                continue
            step, value = self.curves[trial.number][-1]
            if step not in values_at:
                values_at[step] = self._values_at(step)
            ranks[trial.number] = _place(value, values_at[step])
        return ranks

    def _values_at(self, step: float) -> np.ndarray:
        """Of every trial that came to that step, its value there or at the last one before that it reported."""
        reached = (curve for curve in self.curves.values() if curve[-1][0] >= step)
        return np.array([next(value for at, value in reversed(curve) if at <= step) for curve in map(_from, reached)])


def _from(curve: Curve) -> Curve:
    """With its first value also before it: a trial that first reported later is taken as it then was."""
    return [(-math.inf, curve[0][1]), *curve]


def _place(value: float, values: np.ndarray) -> float:
    num_below, num_equal = int((values < value).sum()), int((values == value).sum())
    return (num_below + (num_equal + 1) / 2) / len(values)


def _curve(trial: FrozenTrial, sign: float) -> Curve:
    curve = [
        (float(step), sign * value) for step, value in sorted(trial.intermediate_values.items()) if math.isfinite(value)
    ]
    if trial.state == TrialState.COMPLETE and trial.value is not None:
        step = curve[-1][0] if curve else math.inf
        curve = [*curve[:-1], (step, sign * trial.value)]
    return curve


def _is_failed(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.FAIL


def _says_something(trial: FrozenTrial, curves: dict[int, Curve]) -> bool:
    if _is_failed(trial):
        return bool(trial.params) and trial.user_attrs.get(CRASHED) is False
    return trial.number in curves and (trial.state.is_finished() or _is_paused(trial))


def _is_paused(trial: FrozenTrial) -> bool:
    """Of such schedulers as stop a trial until it is worth going on: for Optuna it runs."""
    return trial.state == TrialState.RUNNING and bool(trial.user_attrs.get(_PAUSED))
