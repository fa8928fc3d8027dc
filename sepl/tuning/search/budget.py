"""When a study ends before its number of trials: a budget is spent, nothing is gained any more, or all trials fail."""

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sepl.errors import ConfigError
from sepl.tuning.search.names import METRIC

if TYPE_CHECKING:
    from sepl.tuning.search.flatness import Flatness
    from sepl.tuning.search.spending import Meter

FLAT = "the search has become flat"

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

# As many as a broken dataset, driver or search space needs to show, and more than a wild first proposal can cost.
_MOST_FAILURES_AT_START = 5


def parse_duration(text: str) -> float:
    """Seconds of '45s', '90m', '2h', '1d' or '1h30m'. Raises ConfigError."""
    if not re.fullmatch(r"(\d+(\.\d+)?[smhd])+", text):
        raise ConfigError(f"--time-budget should be like 45s, 90m, 2h or 1h30m, was {text!r}")
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)([smhd])", text))


@dataclass
class Limit:
    """Of what trials use up while they run."""

    left: float
    per_second: float
    """Taken by a second of a trial."""
    reason: str
    """Why a study stops when nothing is left."""

    def __post_init__(self) -> None:
        self.at_start = self.left


class Budget:
    """Tells a backend to stop. `reason` says why, None while nothing is spent; trials count their time here."""

    def __init__(
        self,
        *,
        seconds: float | None = None,
        gpu_seconds: float | None = None,
        gpus_per_trial: float = 0.0,
        has_succeeded: bool = False,
        limits: Iterable[Limit] = (),
        meter: "Meter | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._deadline = None if seconds is None else clock() + seconds
        of_gpus = () if gpu_seconds is None else (Limit(gpu_seconds, gpus_per_trial, "the GPU budget is spent"),)
        self.limits = (*of_gpus, *limits)
        self.meter = meter
        """What trials have used, where somebody asks."""
        self.flatness: Flatness | None = None
        """What is still to be gained, of a search that is to stop when that is little."""
        self._num_failures: int | None = None if has_succeeded else 0
        self.failure: str | None = None
        """Of the last trial that failed, while none has had a result."""

    @property
    def reason(self) -> str | None:
        if self._deadline is not None and self._clock() >= self._deadline:
            return "the time budget is spent"
        spent = next((limit.reason for limit in self.limits if limit.left <= 0), None)
        if spent is not None:
            return spent
        if self.flatness is not None and self.flatness.is_flat:
            return f"{FLAT} ({self.flatness})"
        if self._num_failures is not None and self._num_failures >= _MOST_FAILURES_AT_START:
            return f"the first {self._num_failures} trials all failed"
        return None

    @property
    def seconds_left(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - self._clock())

    @property
    def share_spent(self) -> float:
        """Of the time or the limit of this driver that is the furthest spent, from 0 to 1."""
        of_time = [] if not self._seconds else [1 - (self.seconds_left or 0.0) / self._seconds]
        of_limits = [1 - limit.left / limit.at_start for limit in self.limits if limit.at_start > 0]
        return min(1.0, max([0.0, *of_time, *of_limits]))

    def note_failure(self, message: str) -> None:
        """A trial failed."""
        if self._num_failures is not None:
            self._num_failures += 1
            self.failure = message

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002 - Tune's signature
        seconds = result.get("time_this_iter_s", 0.0)
        for limit in self.limits:
            limit.left -= limit.per_second * seconds
        if self.meter is not None:
            self.meter.note(seconds)
        if result.get("failure"):
            self.note_failure(result["failure"])
        elif METRIC in result:
            self._num_failures = self.failure = None
        return False

    def stop_all(self) -> bool:
        return self.reason is not None
