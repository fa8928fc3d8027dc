"""The report while the search runs: written anew now and then, by a process that gives way to the trials.

The driver only starts it: plotly alone takes a second, and Tune waits for its callbacks. A page is written at most
every minute and never for more than a twentieth of the time, at the lowest priority.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from ray.tune import Callback

SECONDS = 60.0
"""Between the beginnings of two reports, at least."""
_SHARE = 20.0
"""So many times as long as a report took there is none."""
_PATIENCE_S = 30.0

_PROGRAM = """
import os, sys
os.nice(19)
from sepl.storage import resolve
from sepl.tuning.report.report import write_report
write_report(sys.argv[1], sys.argv[2], resolve(sys.argv[3]))
"""


class LiveReport(Callback):
    """Of one driver; a context, at whose end no report is being written any more."""

    def __init__(
        self,
        storage: str,
        study: str,
        out: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        start: Callable[..., Any] = subprocess.Popen,
    ) -> None:
        self._command = [sys.executable, "-c", _PROGRAM, storage, study, out]
        self._clock, self._start = clock, start
        self._process: Any = None
        self._begun = clock()
        self._next = clock() + SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What is written after the search, of all of it, is not to be overtaken by what was begun before."""
        if self._process is None:
            return
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def on_trial_result(self, *args: Any, **event: Any) -> None:  # noqa: ARG002 - Tune's signature
        self._look()

    def on_trial_complete(self, *args: Any, **event: Any) -> None:  # noqa: ARG002
        self._look()

    def _look(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            self._process = None
            self._next = max(self._begun + SECONDS, self._clock() + _SHARE * (self._clock() - self._begun))
        if self._process is None and self._clock() >= self._next:
            self._begun = self._clock()
            self._process = self._begin()

    def _begin(self) -> Any:
        """None where no process can be started: a report less is no reason to stop a search."""
        paths = os.pathsep.join(path for path in sys.path if path)
        try:
            return self._start(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": paths},
            )
        except OSError:
            self._next = self._clock() + SECONDS
            return None

    def __getstate__(self) -> dict[str, Any]:
        return {}  # for a snapshot of Tune's that is never read
