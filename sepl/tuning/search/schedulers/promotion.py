"""Asynchronous successive halving that promotes (Li et al., MLSys 2020, algorithm 2): what it does not need it pauses.

A trial that came to a rung too early to be among the best of it is not lost: it waits with its checkpoint, and goes on
as soon as enough worse ones have come.
"""

from bisect import insort
from collections.abc import Iterable

from sepl.tuning.search.schedulers.base import Decision, TrialState
from sepl.tuning.search.schedulers.rungs import REDUCTION_FACTOR, Ladder, rung_epochs


class PromotionASHA:
    """One in `reduction_factor` of those that reached a rung goes on from it, whenever that becomes clear.

    The last rung is the end. When no new trial will begin and none has come to the end, the best of the highest rung
    goes on to it: a study needs a whole model.
    """

    def __init__(self, *, num_epochs: int, grace_epochs: int = 1, reduction_factor: int = REDUCTION_FACTOR) -> None:
        epochs = rung_epochs(num_epochs, grace_epochs, reduction_factor)
        self._num_epochs, self._factor = num_epochs, reduction_factor
        self._ladder = Ladder(epochs if epochs[-1] == num_epochs else [*epochs, num_epochs])
        self._paused: list[list[tuple[tuple[float, int], int]]] = [[] for _ in self._ladder.rungs]
        """Of each rung the paused trials, best first, each with what it is ranked by."""
        self._below: list[int] = []
        """Paused before the first rung, which has moved since."""
        self._running: set[int] = set()
        self._finalist: int | None = None
        self._has_whole = False

    def enter(self, trial: int, values: Iterable[tuple[int, float]] = (), state: TrialState = "running") -> None:
        for epoch, skill in sorted(values):
            self._record(trial, epoch, skill)
        if state == "paused":
            self._pause(trial)
        elif state == "running":
            self._unpause(trial)  # of one whose process died while it was saved
            self._running.add(trial)

    def report(self, trial: int, epoch: int, skill: float) -> Decision:
        place = self._record(trial, epoch, skill)
        if epoch >= self._num_epochs:
            self._running.discard(trial)
            return Decision.STOP
        if place is None or trial == self._finalist or self._goes_on(trial, place):
            return Decision.CONTINUE
        self._pause(trial)
        return Decision.PAUSE

    def end(self, trial: int) -> None:
        if trial == self._finalist:
            self._finalist = None
        self._running.discard(trial)
        self._unpause(trial)

    def next_resumable(self, *, is_draining: bool) -> int | None:
        trial = self._promotable()
        if trial is None and is_draining and not self._has_whole and not self._running:
            trial = self._finalist = self._best_paused()
        if trial is not None:
            self._unpause(trial)
            self._running.add(trial)
        return trial

    def rungs(self) -> list[tuple[int, int]]:
        return self._ladder.counts()

    def max_epochs(self) -> int:
        return self._num_epochs

    def _promotable(self) -> int | None:
        if self._below:
            return self._below[0]
        for place in range(self._last_place(), -1, -1):
            if self._paused[place] and self._goes_on(best := self._paused[place][0][1], place):
                return best
        return None

    def _goes_on(self, trial: int, place: int) -> bool:
        """Whether it is one of the best of the rung at this place."""
        if place > self._last_place():
            return False
        rung = self._ladder.rungs[place]
        return rung.rank(trial) < len(rung) // self._factor

    def _last_place(self) -> int:
        """Of the highest rung from which trials go on."""
        return len(self._ladder.rungs) - 2

    def _record(self, trial: int, epoch: int, skill: float) -> int | None:
        """The place of the rung that the trial has newly reached."""
        self._has_whole |= epoch >= self._num_epochs
        place = self._ladder.newly_reached(trial, epoch)
        highest = self._ladder.highest(trial)
        if place is None or (highest is not None and place < highest):
            return None
        self._ladder.rungs[place].record(trial, skill)
        return place

    def _pause(self, trial: int) -> None:
        self._running.discard(trial)
        place = self._ladder.highest(trial)
        if place is None:
            self._below.append(trial)
        else:
            insort(self._paused[place], (self._ladder.rungs[place].place(trial), trial))

    def _unpause(self, trial: int) -> None:
        place = self._ladder.highest(trial)
        if trial in self._below:
            self._below.remove(trial)
        if place is not None:
            entry = (self._ladder.rungs[place].place(trial), trial)
            if entry in self._paused[place]:
                self._paused[place].remove(entry)

    def _best_paused(self) -> int | None:
        return next((paused[0][1] for paused in reversed(self._paused) if paused), None)
