"""Asynchronous successive halving that stops (Li et al., MLSys 2020), as Ray Tune's: what it stopped is over."""

from collections.abc import Iterable

from sepl.tuning.search.schedulers.base import Decision, TrialState
from sepl.tuning.search.schedulers.rungs import REDUCTION_FACTOR, Ladder, rung_epochs


class ASHA:
    """A trial goes on from a rung unless it is below the upper third of those that were there before it."""

    def __init__(self, *, num_epochs: int, grace_epochs: int = 1, reduction_factor: int = REDUCTION_FACTOR) -> None:
        self._num_epochs = num_epochs
        self._fraction = (1 - 1 / reduction_factor) * 100 / 100  # rounded as percentiles are, to stop the same trials
        self._ladder = Ladder(rung_epochs(num_epochs, grace_epochs, reduction_factor))

    def enter(self, trial: int, values: Iterable[tuple[int, float]] = (), state: TrialState = "running") -> None:  # noqa: ARG002 - none is ever paused
        for epoch, skill in sorted(values):
            self._judge(trial, epoch, skill)

    def report(self, trial: int, epoch: int, skill: float) -> Decision:
        goes_on = self._judge(trial, epoch, skill)
        return Decision.CONTINUE if goes_on and epoch < self._num_epochs else Decision.STOP

    def end(self, trial: int) -> None:
        """Nothing: what it had at its rungs stays."""

    def next_resumable(self, *, is_draining: bool) -> int | None:  # noqa: ARG002
        return None

    def rungs(self) -> list[tuple[int, int]]:
        return self._ladder.counts()

    def max_epochs(self) -> int:
        return self._num_epochs

    def skills(self) -> list[list[float]]:
        """What was recorded at each rung, from the first."""
        return [rung.skills() for rung in self._ladder.rungs]

    def _judge(self, trial: int, epoch: int, skill: float) -> bool:
        """Records the skill at the highest rung that the trial has newly reached; whether it goes on from there."""
        place = self._ladder.newly_reached(trial, epoch)
        if place is None:
            return True
        rung = self._ladder.rungs[place]
        goes_on = not len(rung) or not skill < rung.quantile(self._fraction)
        rung.record(trial, skill)
        return goes_on
