"""The plainest rival: every trial a few epochs, then the best few to the end (Egele et al. 2023, arXiv 2307.15422)."""

from collections.abc import Iterable

from sepl.tuning.search.schedulers.base import Decision, TrialState
from sepl.tuning.search.schedulers.rungs import Rung


class TopK:
    """All trials stop at `grace_epochs`; when the last one is there the best `num_kept` go on to the end."""

    def __init__(self, *, num_epochs: int, grace_epochs: int = 1, num_kept: int) -> None:
        self._num_epochs, self._num_kept = num_epochs, num_kept
        self._first, self._last = Rung(min(grace_epochs, num_epochs)), Rung(num_epochs)
        self._before: set[int] = set()
        """Running, and not yet at the first rung."""
        self._paused: set[int] = set()
        self._queue: list[int] | None = None
        """The best, those that are to go on; None while it is not clear who they are."""

    def enter(self, trial: int, values: Iterable[tuple[int, float]] = (), state: TrialState = "running") -> None:
        for epoch, skill in sorted(values):
            self._record(trial, epoch, skill)
        if state == "paused":
            self._paused.add(trial)
        elif state == "running" and trial not in self._first:
            self._before.add(trial)

    def report(self, trial: int, epoch: int, skill: float) -> Decision:
        was_there = trial in self._first
        self._record(trial, epoch, skill)
        if epoch >= self._num_epochs:
            return Decision.STOP
        if was_there or trial not in self._first:
            return Decision.CONTINUE
        self._paused.add(trial)
        return Decision.PAUSE

    def end(self, trial: int) -> None:
        self._before.discard(trial)
        self._paused.discard(trial)

    def next_resumable(self, *, is_draining: bool) -> int | None:
        early = next((trial for trial in self._paused if trial not in self._first), None)
        if early is not None:  # the first rung has moved since
            self._paused.discard(early)
            self._before.add(early)
            return early
        if not is_draining or self._before:
            return None
        if self._queue is None:
            ranked = sorted(self._first, key=self._first.rank)
            self._queue = [trial for trial in ranked[: self._num_kept] if trial in self._paused]
        while self._queue:
            trial = self._queue.pop(0)
            if trial in self._paused:
                self._paused.discard(trial)
                return trial
        return None

    def rungs(self) -> list[tuple[int, int]]:
        return [(rung.epoch, len(rung)) for rung in (self._first, self._last)]

    def max_epochs(self) -> int:
        return self._num_epochs

    def _record(self, trial: int, epoch: int, skill: float) -> None:
        for rung in (self._first, self._last):
            if epoch >= rung.epoch and trial not in rung:
                rung.record(trial, skill)
        if trial in self._first:
            self._before.discard(trial)
