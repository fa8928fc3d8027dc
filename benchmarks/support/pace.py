"""How far a benchmark of many runs is, and how long the others take at the pace so far."""

import time
from collections.abc import Callable


class Pace:
    """Counts finished runs; make it when the first one begins. `clock` gives seconds."""

    def __init__(self, num_runs: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._num_runs, self._clock = num_runs, clock
        self._num_finished = 0
        self._start = clock()

    def finish_run(self) -> str:
        """One more is finished: `run 3 of 45, about 6:12 min left`."""
        self._num_finished += 1
        per_run = (self._clock() - self._start) / self._num_finished
        minutes, seconds = divmod(round(per_run * (self._num_runs - self._num_finished)), 60)
        return f"run {self._num_finished} of {self._num_runs}, about {minutes}:{seconds:02d} min left"
