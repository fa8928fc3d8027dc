"""Trials that were trained before, run again in simulated time: a thousand of them in seconds.

Workers take the seconds that each epoch took. No clock is read and nothing is drawn, so that the same search runs the
same way every time.
"""

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sepl.tuning.search.backends.loop import Result
from sepl.tuning.search.names import IS_LAST, METRIC, TIME_ATTR

ROW = "row"
"""Constant of a trial's config that says which curve is its own."""


@dataclass(frozen=True)
class TrainedCurve:
    """One setting's epochs, from the first; skills are NaN from the one at which it diverged."""

    best_skills: Sequence[float]
    seconds: Sequence[float]


class SimulatedBackend:
    """`num_workers` at once, each epoch as long as it was. `now` is in simulated seconds."""

    def __init__(self, curves: Sequence[TrainedCurve], *, num_workers: int = 1) -> None:
        self._curves, self.num_workers = curves, num_workers
        self.now = 0.0
        self._events: list[tuple[float, int, int]] = []
        """When which trial ends an epoch; the number between is of the order in which they began."""
        self._num_events = 0
        self._rows: dict[int, int] = {}
        self._epochs: dict[int, int] = {}
        """Epochs that a trial has had, of those that are not over."""

    def start(self, config: Mapping[str, Any]) -> None:
        trial = config["number"]
        self._rows[trial] = config["params"][ROW]
        self._epochs.setdefault(trial, 0)
        self.go_on(trial)

    def next_result(self) -> tuple[int, Result]:
        self.now, _, trial = heapq.heappop(self._events)
        curve = self._curves[self._rows[trial]]
        self._epochs[trial] += 1
        epoch = self._epochs[trial]
        if math.isnan(curve.best_skills[epoch - 1]):
            return trial, {METRIC: math.nan, "failure": "it diverged", "time_this_iter_s": curve.seconds[epoch - 1]}
        return trial, {
            TIME_ATTR: epoch,
            METRIC: curve.best_skills[epoch - 1],
            "time_this_iter_s": curve.seconds[epoch - 1],
            IS_LAST: epoch == len(curve.best_skills),
        }

    def go_on(self, trial: int) -> None:
        seconds = self._curves[self._rows[trial]].seconds[self._epochs[trial]]
        heapq.heappush(self._events, (self.now + seconds, self._num_events, trial))
        self._num_events += 1

    def end(self, trial: int, *, is_kept: bool) -> None:
        del self._rows[trial]
        if not is_kept:
            del self._epochs[trial]
