"""What is no trial's fault: data that cannot be read, a storage that takes no checkpoints, a database that is away.

A trial that met it waits in the database instead of failing, and when it goes on the study stops with one line: nothing
of it is used up, and it can be resumed once the place is mended.
"""

from typing import Any

from optuna.storages import BaseStorage
from ray.tune import Callback, Stopper

from sepl.errors import StudyError
from sepl.tuning.record.database import is_lost
from sepl.tuning.search.names import METRIC, UNSAVED, WAITS

_MOST_IN_A_ROW = 3  # one or two are a hiccup of a network or of one machine


class SurroundingsError(StudyError):
    """What a trial needs cannot be read here."""


class EnvironmentWatch(Stopper):
    """Tells Tune to stop when trial after trial meets the same; `problem` says what, None while all is well."""

    def __init__(self) -> None:
        self._num_waiting = 0
        self._num_unsaved = 0
        self.problem: str | None = None

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002 - Tune's signature
        if result.get(UNSAVED):
            self._num_unsaved += 1
            self._judge(self._num_unsaved, f"checkpoints in a row could not be saved: {result[UNSAVED]}")
        if result.get(WAITS):
            self._num_waiting += 1
            self._judge(self._num_waiting, f"trials in a row could not begin: {result['failure']}")
        elif METRIC in result:
            self._num_waiting = 0
        return False

    def stop_all(self) -> bool:
        return self.problem is not None

    def note_save(self) -> None:
        """A checkpoint was saved."""
        self._num_unsaved = 0

    def _judge(self, number: int, what: str) -> None:
        if number >= _MOST_IN_A_ROW and self.problem is None:
            self.problem = f"{number} {what}"


class DatabaseWatch(Stopper):
    """Tells Tune to stop when the database is lost: some of its callbacks swallow what they raise."""

    def __init__(self, storage: BaseStorage) -> None:
        self._storage = storage

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002 - Tune's signature
        return False

    def stop_all(self) -> bool:
        return is_lost(self._storage)

    def __getstate__(self) -> dict[str, Any]:
        return {}  # for a snapshot of Tune's that is never read


class SaveListener(Callback):
    """Tells the watch of checkpoints that lie whole in the storage."""

    def __init__(self, watch: EnvironmentWatch) -> None:
        self._watch = watch

    def on_checkpoint(self, *args: Any, **event: Any) -> None:  # noqa: ARG002 - Tune's signature
        self._watch.note_save()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # for a snapshot of Tune's that is never read
