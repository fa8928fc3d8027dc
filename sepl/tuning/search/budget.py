"""When a study ends before its number of trials: a time budget, a GPU budget, or nothing but failures."""

import re
import time
from typing import Any

from ray.tune import Callback, Stopper

from sepl.errors import ConfigError
from sepl.tuning.search.names import METRIC, TIME_ATTR
from sepl.tuning.search.searcher import TruthfulOptunaSearch

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

# As many as a broken dataset, driver or search space needs to show, and more than a wild first proposal can cost.
_MOST_FAILURES_AT_START = 5


def parse_duration(text: str) -> float:
    """Seconds of '45s', '90m', '2h', '1d' or '1h30m'. Raises ConfigError."""
    if not re.fullmatch(r"(\d+(\.\d+)?[smhd])+", text):
        raise ConfigError(f"--time-budget should be like 45s, 90m, 2h or 1h30m, was {text!r}")
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)([smhd])", text))


class Budget(Stopper):
    """Tells Tune to stop. `reason` says why, None while nothing is spent; trials count their GPU time here."""

    def __init__(
        self,
        *,
        seconds: float | None = None,
        gpu_seconds: float | None = None,
        gpus_per_trial: float = 0.0,
        has_succeeded: bool = False,
    ) -> None:
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._gpu_seconds_left = gpu_seconds
        self._gpus = gpus_per_trial
        self._num_failures: int | None = None if has_succeeded else 0
        self.failure: str | None = None
        """Of the last trial that failed, while none has had a result."""

    @property
    def reason(self) -> str | None:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return "the time budget is spent"
        if self._gpu_seconds_left is not None and self._gpu_seconds_left <= 0:
            return "the GPU budget is spent"
        if self._num_failures is not None and self._num_failures >= _MOST_FAILURES_AT_START:
            return f"the first {self._num_failures} trials all failed"
        return None

    @property
    def seconds_left(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

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


class CrashCounter(Callback):
    """Counts trials that crashed for good, which report no result, and lets a trial that came further crash again.

    Ray counts the failures of a trial's whole life; a long trial on machines that come and go would use them up.
    """

    def __init__(self, budget: Budget, searcher: TruthfulOptunaSearch) -> None:
        self._budget, self._searcher = budget, searcher
        self._furthest: dict[str, int] = {}

    def on_trial_result(
        self,
        iteration: int,  # noqa: ARG002
        trials: list[Any],  # noqa: ARG002
        trial: Any,
        result: dict[str, Any],
        **info: Any,  # noqa: ARG002
    ) -> None:
        epoch = result.get(TIME_ATTR, 0)
        if epoch > self._furthest.get(trial.trial_id, 0):
            self._furthest[trial.trial_id] = epoch
            trial.run_metadata.num_failures = 0

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
        self._budget.note_failure(f"its process crashed: {self._searcher.death_of(trial.trial_id)}")

    def __getstate__(self) -> dict[str, Any]:
        return {}
