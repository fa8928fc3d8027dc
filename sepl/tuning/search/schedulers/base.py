"""What a scheduler is asked and answers; none of them knows Ray, Optuna or a clock.

A trial is its number in the study. Skills are best so far, higher is better, and finite: a trial that diverged ends
without a word.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Literal, Protocol

TrialState = Literal["running", "paused", "ended"]


class Decision(Enum):
    """What becomes of a trial after an epoch."""

    CONTINUE = "continue"
    STOP = "stop"
    PAUSE = "pause"
    """It gives its place to another and may go on from its checkpoint later, once `next_resumable` names it."""


class Scheduler(Protocol):
    """Decides how many epochs a trial is worth."""

    def enter(self, trial: int, values: Iterable[tuple[int, float]] = (), state: TrialState = "running") -> None:
        """Tells of a trial, new or of an earlier driver, with the (epoch, skill) pairs that it had."""
        ...

    def report(self, trial: int, epoch: int, skill: float) -> Decision:
        """Its skill after an epoch. What was told before changes nothing."""
        ...

    def end(self, trial: int) -> None:
        """It will not go on: it ran to its end, failed, or was cut off."""
        ...

    def next_resumable(self, *, is_draining: bool) -> int | None:
        """The paused trial that should go on now, which is then running; None when a new one is worth more.

        `is_draining`: no new trial will begin.
        """
        ...

    def rungs(self) -> list[tuple[int, int]]:
        """Each rung's epoch with the number of trials that reached it, from the first."""
        ...

    def max_epochs(self) -> int:
        """The epochs of the longest trial at the moment."""
        ...
