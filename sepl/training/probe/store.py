"""Features on disk, computed once for all studies of a storage: STORAGE/features/KEY.arrow, memory-mapped.

A file is whole or absent. Whoever maps one holds a shared lock on it, which the system gives back when the process
ends, however it ends; when room is needed the file that was used longest ago goes first, one that is in use never. Two
that want the same features wait for each other and compute them once.

Storage that is no local disk cannot be mapped: its features lie in this machine's cache ($SEPL_CACHE, ~/.cache/sepl).

Axes: N photograph, F feature.
"""

import fcntl
import os
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from sepl.errors import StorageError
from sepl.locking import FileLock
from sepl.settings import Settings
from sepl.storage import Location, resolve, sha256_of

Floats = NDArray[np.float32]
FOLDER = "features"


class FeatureKey(Settings):
    """What decides features; the sealed test patients have none here."""

    fingerprint: str
    """Of the dataset: pixels, their order and size."""
    weights_sha256: str
    backbone: str
    final_norm: bool
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    image_size: int
    cohort_split: Literal["train", "validation", "calibration"]
    strength: float = Field(default=0.0, ge=0.0)
    """Of augmentation; 0 are the photographs as they are."""
    draw: int = Field(default=0, ge=0)
    """Which of several augmented views."""

    @property
    def name(self) -> str:
        """The file's, without its ending."""
        return sha256_of(self.model_dump_json().encode())[:32]


@dataclass(frozen=True)
class FeatureStore:
    """A folder of features that holds `limit` bytes at most."""

    root: Path
    limit: int

    @classmethod
    def of(cls, storage: Location, limit_gb: float) -> "FeatureStore":
        """That of a storage; `limit_gb` in 10⁹ bytes."""
        if storage.is_local:
            return cls(storage.local_path() / FOLDER, int(limit_gb * 1e9))
        cache = Path(os.environ.get("SEPL_CACHE", "~/.cache/sepl")).expanduser()
        return cls(cache / f"{FOLDER}-{sha256_of(storage.uri.encode())[:16]}", int(limit_gb * 1e9))

    def get(self, key: FeatureKey, compute: Callable[[], Floats]) -> Floats:
        """Features (N, F), read-only and mapped: those that are here, else what `compute` gives, kept.

        Raises StorageError when they cannot be written, or what is in use leaves too little room.
        """
        kept = self._map(key)
        if kept is not None:
            return kept
        lock = FileLock.take(self.root / f".{key.name}.lock", wait=True)
        assert lock is not None, "it waits"
        try:
            kept = self._map(key)  # somebody else's, while this one waited
            while kept is None:
                self._publish(key, compute())
                kept = self._map(key)
            return kept
        finally:
            lock.release()

    def path(self, key: FeatureKey) -> Path:
        return self.root / f"{key.name}.arrow"

    def _map(self, key: FeatureKey) -> Floats | None:
        """None when the features are not here, or the file is not whole."""
        path = self.path(key)
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise StorageError(f"cannot read {path}: {problem.strerror}") from problem
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        features_NF = _mapped(path, key)
        if features_NF is None:
            os.close(descriptor)
            return None
        with suppress(OSError):  # another user's file is used all the same
            os.utime(path)
        weakref.finalize(features_NF, os.close, descriptor)
        return features_NF

    def _publish(self, key: FeatureKey, features_NF: Floats) -> None:
        for left in self.root.glob(f".{key.name}.arrow-*"):  # of a process that died here: this one has the lock
            left.unlink(missing_ok=True)
        room = FileLock.take(self.root / ".room.lock", wait=True)
        assert room is not None, "it waits"
        try:
            self._make_room(features_NF.nbytes, key)
            with resolve(self.path(key)).staged() as staging:
                _write(staging, features_NF, key)
        finally:
            room.release()

    def _make_room(self, needed: int, key: FeatureKey) -> None:
        files = {path: path.stat() for path in self.root.glob("*.arrow") if path != self.path(key)}
        excess = sum(facts.st_size for facts in files.values()) + needed - self.limit
        for path, facts in sorted(files.items(), key=lambda entry: entry[1].st_mtime_ns):
            if excess <= 0:
                return
            if _remove_unused(path):
                excess -= facts.st_size
        if excess > 0:
            raise StorageError(
                f"--probe-cache-gb should leave room for features of {needed / 1e9:.2g} GB in {self.root} beside those "
                f"in use, was {self.limit / 1e9:g}, {excess / 1e9:.2g} too little"
            )


def _remove_unused(path: Path) -> bool:
    """Whether it is gone: no process has it mapped."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _write(path: Path, features_NF: Floats, key: FeatureKey) -> None:
    values = pa.array(np.ascontiguousarray(features_NF).reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(values, features_NF.shape[1])
    metadata = {"key": key.model_dump_json(), "rows": str(len(features_NF))}
    schema = pa.schema([pa.field("features", column.type, nullable=False)], metadata=metadata)
    try:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            writer.write_batch(pa.record_batch([column], schema=schema))
    except OSError as problem:
        raise StorageError(f"cannot write {path}: {problem}") from problem


def _mapped(path: Path, key: FeatureKey) -> Floats | None:
    """None of a file that is no such features: it is written anew."""
    try:
        batch = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
        if batch.schema.metadata[b"key"].decode() != key.model_dump_json():
            return None
        column = batch.column(0)
        return column.flatten().to_numpy(zero_copy_only=True).reshape(len(column), column.type.list_size)
    except (OSError, pa.ArrowException, LookupError, TypeError, AttributeError):
        return None
