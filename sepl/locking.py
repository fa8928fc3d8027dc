"""One run at a time on one output or one study.

On a local disk a file lock, which the system gives back when its process ends, however it ends. In an object store,
which knows no locks, an object that its owner renews; an owner not heard of for `STALE_SECONDS` is taken for dead, and
one on this machine whose process is gone at once.
"""

import fcntl
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from sepl.errors import StorageError
from sepl.settings import Settings
from sepl.storage import Location

STALE_SECONDS = 300.0
_RENEW_SECONDS = 60.0
_SETTLE_SECONDS = 1.0
"""Longer than two writers' first writes can be apart: the later one wins, and each reads who did."""


class Owner(Settings):
    """Who holds an output."""

    token: str
    host: str
    process: int
    since: str
    renewed: float
    """Seconds since 1970, by the owner's clock."""

    @classmethod
    def this(cls) -> Self:
        now = datetime.now(UTC)
        return cls(
            token=uuid.uuid4().hex,
            host=socket.gethostname(),
            process=os.getpid(),
            since=f"{now:%Y-%m-%d %H:%M} UTC",
            renewed=now.timestamp(),
        )

    def renew(self) -> Self:
        return self.model_copy(update={"renewed": time.time()})

    def is_alive(self) -> bool:
        if self.host == socket.gethostname() and not _runs(self.process):
            return False
        return time.time() - self.renewed < STALE_SECONDS


class FileLock:
    """A lock on a path of this machine, held until `release` or until the process ends. The file goes with it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path, *, wait: bool) -> "FileLock | None":
        """The lock; None when another process has it and we do not wait. Raises StorageError without access."""
        while True:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            except OSError as problem:
                raise StorageError(f"cannot lock {path}: {problem.strerror}") from problem
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                os.close(descriptor)
                return None
            except OSError as problem:
                os.close(descriptor)
                raise StorageError(
                    f"cannot lock {path}, which should be on a file system with file locks (flock): {problem.strerror}"
                ) from problem
            if _is_still(path, descriptor):
                return cls(path, descriptor)
            os.close(descriptor)  # its last owner has taken the file away since we opened it

    def note(self, text: str) -> None:
        """Writes into the file who holds it, for others to read."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text.encode(), 0)

    def release(self) -> None:
        self.path.unlink(missing_ok=True)  # while held, so that nobody else can hold the same file
        os.close(self._descriptor)


@contextmanager
def hold(target: Location, doing: str = "preparing") -> Iterator["Hold"]:
    """Holds a folder for this run, which is `doing` something with it.

    Raises StorageError in one line when another run holds it, whatever that is doing.
    """
    if target.is_local:
        path = target.local_path()
        with _local_hold(path.parent / f".{path.name}.lock", doing, target.uri):
            yield Hold()
        return
    with _object_hold(target / ".lock", doing, target.uri) as held:
        yield held


def holder(target: Location) -> str | None:
    """In words who holds a folder now, None when nobody does. Takes nothing: a run that begins is not in its way."""
    if not target.is_local:
        owner = _parse_owner(target / ".lock") if (target / ".lock").exists() else None
        return _describe(owner) if owner is not None and owner.is_alive() else None
    path = target.local_path()
    lock = path.parent / f".{path.name}.lock"
    return _describe(_read_owner(lock)) if _is_locked(lock) else None


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # the file goes with its lock, unless its process was killed
        return False
    except OSError as problem:
        raise StorageError(f"cannot look at {path}: {problem.strerror}") from problem
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


class Hold:
    """That this run holds its output."""

    def check(self) -> None:
        """Raises StorageError when another run has taken over since; called before anything is made final."""


@contextmanager
def _local_hold(path: Path, doing: str, uri: str) -> Iterator[None]:
    lock = FileLock.take(path, wait=False)
    if lock is None:
        raise StorageError(_refusal(doing, uri, _read_owner(path)))
    try:
        lock.note(Owner.this().model_dump_json())
        yield
    finally:
        lock.release()


def _read_owner(path: Path) -> Owner | None:
    try:
        return Owner.parse_json(path.read_bytes(), str(path), StorageError)
    except (OSError, StorageError):
        return None  # it has just begun, or just ended


class _ObjectHold(Hold):
    """An owner's object in an object store, renewed by a thread."""

    def __init__(self, place: Location, doing: str, uri: str) -> None:
        self._place, self._doing, self._uri = place, doing, uri
        self._owner = Owner.this()
        self._lost = False
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="renew-lock", daemon=True)

    def take(self) -> None:
        owner = self._found()
        if owner is not None and owner.is_alive():
            raise StorageError(_refusal(self._doing, self._uri, owner))
        self._place.write_bytes(self._owner.model_dump_json().encode())
        time.sleep(_SETTLE_SECONDS)
        self.check()
        self._thread.start()

    def check(self) -> None:
        owner = self._found()
        if self._lost or owner is None or owner.token != self._owner.token:
            raise StorageError(_refusal(self._doing, self._uri, owner))

    def release(self) -> None:
        self._done.set()
        if self._thread.ident is not None:
            self._thread.join()
        owner = self._found()
        if owner is not None and owner.token == self._owner.token:
            self._place.filesystem.delete_file(self._place.path)

    def _found(self) -> Owner | None:
        if not self._place.exists():
            return None
        return _parse_owner(self._place)

    def _keep(self) -> None:
        while not self._done.wait(_RENEW_SECONDS):
            with suppress(StorageError):  # the next round tries again; `check` has the last word
                owner = self._found()
                if owner is None or owner.token != self._owner.token:
                    self._lost = True
                    return
                self._owner = self._owner.renew()
                self._place.write_bytes(self._owner.model_dump_json().encode())


def _parse_owner(place: Location) -> Owner | None:
    try:
        return Owner.parse_json(place.read_bytes(), place.uri, StorageError)
    except StorageError:
        return None


@contextmanager
def _object_hold(place: Location, doing: str, uri: str) -> Iterator[Hold]:
    held = _ObjectHold(place, doing, uri)
    held.take()
    try:
        yield held
    finally:
        held.release()


def _describe(owner: Owner | None) -> str:
    return "a process" if owner is None else f"process {owner.process} on {owner.host}, since {owner.since}"


def _refusal(doing: str, uri: str, owner: Owner | None) -> str:
    who = f" ({_describe(owner)})" if owner is not None else ""
    return f"another run is {doing} {uri}{who}; wait until it has ended"


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
