"""When a study ends before its number of trials: a time budget, a GPU budget, or nothing but failures."""

import re
import time
from collections.abc import Callable
from typing import Any

from sepl.errors import ConfigError
from sepl.tuning.search.names import METRIC

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

# As many as a broken dataset, driver or search space needs to show, and more than a wild first proposal can cost.
_MOST_FAILURES_AT_START = 5


def parse_duration(text: str) -> float:
    """Seconds of '45s', '90m', '2h', '1d' or '1h30m'. Raises ConfigError."""
    if not re.fullmatch(r"(\d+(\.\d+)?[smhd])+", text):
        raise ConfigError(f"--time-budget should be like 45s, 90m, 2h or 1h30m, was {text!r}")
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)([smhd])", text))


class Budget:
    """Tells a backend to stop; trials count their GPU time here.

    `reason` says why, None while nothing is spent.
    """

    def __init__(
        self,
        *,
        seconds: float | None = None,
        gpu_seconds: float | None = None,
        gpus_per_trial: float = 0.0,
        has_succeeded: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._deadline = None if seconds is None else clock() + seconds
        self._gpu_seconds_left = gpu_seconds
        self._gpus = gpus_per_trial
        self._num_failures: int | None = None if has_succeeded else 0
        self.failure: str | None = None
        """Of the last trial that failed, while none has had a result."""

    @property
    def reason(self) -> str | None:
        if self._deadline is not None and self._clock() >= self._deadline:
            return "the time budget is spent"
        if self._gpu_seconds_left is not None and self._gpu_seconds_left <= 0:
            return "the GPU budget is spent"
        if self._num_failures is not None and self._num_failures >= _MOST_FAILURES_AT_START:
            return f"the first {self._num_failures} trials all failed"
        return None

    @property
    def seconds_left(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - self._clock())

    def note_failure(self, message: str) -> None:
        """A trial failed."""
        if self._num_failures is not None:
            self._num_failures += 1
            self.failure = message

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002 - Tune's signature
        if self._gpu_seconds_left is not None:
            self._gpu_seconds_left -= self._gpus * result.get("time_this_iter_s", 0.0)
        if result.get("failure"):
            self.note_failure(result["failure"])
        elif METRIC in result:
            self._num_failures = self.failure = None
        return False

    def stop_all(self) -> bool:
        return self.reason is not None
