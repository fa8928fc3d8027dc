"""`--grace-epochs auto`: the first rung where early skill ranks trials as their end does, not epoch 1 by habit.

Until eight trials have come far enough (rung_reliability.py) it is the first epoch after the warm-up. Then it moves to
the earliest epoch whose rank correlation with the end passes the threshold, at most a third of all epochs: a later one
would save little.
"""

import math
from collections.abc import Callable, Iterable

from sepl.tuning.search.schedulers.base import Decision, Scheduler, TrialState
from sepl.tuning.search.schedulers.rung_reliability import LEAST_TRIALS, first_reliable_epoch, is_far

_NEXT_LOOK = 1.5  # times as many trials that came far: all looks of a study cost as its length, not as its square


def first_epoch_after_warmup(num_epochs: int, warmup_epochs: float) -> int:
    """The earliest epoch at whose end the learning rate has been at its peak: skills within the warm-up rank by speed.

    A schedule warms up for half of a run at most (sepl/training/engine/schedule.py).
    """
    return max(1, math.ceil(min(warmup_epochs, num_epochs / 2)))


class ReliableFirstRung:
    """A scheduler around another that is made anew, with all that was told so far, when the first rung moves."""

    def __init__(self, make: Callable[[int], Scheduler], *, num_epochs: int, least_epochs: int) -> None:
        """`make` gives the scheduler with its first rung at an epoch; `least_epochs` is the earliest one."""
        self._make, self._num_epochs, self._least = make, num_epochs, least_epochs
        self._grace = least_epochs
        self._inner = make(least_epochs)
        self._curves: dict[int, dict[int, float]] = {}
        self._states: dict[int, TrialState] = {}
        self._far: dict[int, None] = {}
        """Trials that came far enough to say something of early epochs, in the order in which they did."""
        self._next_look = LEAST_TRIALS

    def enter(self, trial: int, values: Iterable[tuple[int, float]] = (), state: TrialState = "running") -> None:
        self._note(trial, dict(values))
        self._states[trial] = state
        self._inner.enter(trial, self._curves[trial].items(), state)
        self._look()

    def report(self, trial: int, epoch: int, skill: float) -> Decision:
        self._note(trial, {epoch: skill})
        decision = self._inner.report(trial, epoch, skill)
        self._states[trial] = "running" if decision is Decision.CONTINUE else "paused"
        if decision is Decision.STOP:
            self._states[trial] = "ended"
        if decision is not Decision.CONTINUE:
            self._look()
        return decision

    def end(self, trial: int) -> None:
        self._states[trial] = "ended"
        self._inner.end(trial)

    def next_resumable(self, *, is_draining: bool) -> int | None:
        trial = self._inner.next_resumable(is_draining=is_draining)
        if trial is not None:
            self._states[trial] = "running"
        return trial

    def rungs(self) -> list[tuple[int, int]]:
        return self._inner.rungs()

    def max_epochs(self) -> int:
        return self._inner.max_epochs()

    def _note(self, trial: int, values: dict[int, float]) -> None:
        self._curves.setdefault(trial, {}).update(values)
        if any(is_far(epoch, self._num_epochs) for epoch in values):
            self._far[trial] = None

    def _look(self) -> None:
        """Whether the trials that came far by now place the first rung elsewhere."""
        if len(self._far) < self._next_look:
            return
        self._next_look = math.ceil(len(self._far) * _NEXT_LOOK)
        curves = [self._curves[trial] for trial in self._far]
        grace = first_reliable_epoch(curves, self._num_epochs, least=self._least)
        if grace is not None and grace != self._grace:
            self._grace = grace
            self._inner = self._make(grace)
            for trial, curve in self._curves.items():
                self._inner.enter(trial, curve.items(), self._states[trial])
