"""Shards of remote datasets on this machine's disk: fetched once a machine, however many trials map them.

    shards/<sha256>.arrow     what was fetched; the time of last access is that of last use
    datasets/<key>/           manifest and tables of a dataset; <key>.lock is held shared by every process that uses it
    incoming/                 what is being fetched, one process a shard
    cache.lock                held for the moment in which room is counted or made

The cache holds at most so many bytes of shards; those used longest ago go first, those of a dataset that a live process
has open never. Locks are the system's own, given back when a process ends, however it ends.
"""

import fcntl
import hashlib
import os
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pyarrow import ArrowException

from sepl.data.dataset.shards import Shard
from sepl.errors import ConfigError, DatasetError, StorageError
from sepl.locking import FileLock
from sepl.storage import Location, resolve, sha256_of, sha256_of_file

DEFAULT_BYTES = 64 * 2**30
_BLOCK = 8 * 2**20
_SEAL_YEAR_2001 = 978_307_200
"""Seconds since 1970 of the earliest seal."""


@dataclass(frozen=True)
class ShardCache:
    """A folder of shards, and how many bytes of them it holds at most."""

    root: Path
    limit: int

    @classmethod
    def default(cls, root: Path | None = None) -> "ShardCache":
        """At `root`, $SEPL_CACHE or ~/.cache/sepl, of $SEPL_CACHE_BYTES or 64 GiB. Raises ConfigError."""
        text = os.environ.get("SEPL_CACHE_BYTES", str(DEFAULT_BYTES))
        if not text.isdecimal() or int(text) < 1:
            raise ConfigError(f"$SEPL_CACHE_BYTES should be a number of bytes, was {text!r}")
        return cls(root or Path(os.environ.get("SEPL_CACHE", "~/.cache/sepl")).expanduser(), int(text))

    def open(self, key: str, source: Location, shards: tuple[Shard, ...]) -> "CachedDataset":
        """Begins to use a dataset: until the object is gone nothing of it is removed."""
        folder = self.root / "datasets" / key
        for place in (folder, self.root / "shards", self.root / "incoming"):
            place.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.root / "datasets" / f"{key}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        names = folder / "shards.txt"
        if not names.exists():
            resolve(names).write_bytes("".join(f"{shard.sha256}\n" for shard in shards).encode("ascii"))
        return CachedDataset(self, folder, source, descriptor)

    def shard_path(self, sha256: str) -> Path:
        return self.root / "shards" / f"{sha256}.arrow"

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Alone with the question what is here."""
        lock = FileLock.take(self.root / "cache.lock", wait=True)
        assert lock is not None
        try:
            yield
        finally:
            lock.release()

    def use(self, shard: Shard) -> Path | None:
        """The path of a shard that is here whole, marked as used now; None when it has to be fetched.

        A file that was not written since it was checked bears its seal and is not read again; another is.
        """
        path = self.shard_path(shard.sha256)
        with self.counting():
            try:
                found = path.stat()
            except FileNotFoundError:
                return None
            sealed = found.st_mtime_ns == _seal_of(shard.sha256) and found.st_size == shard.num_bytes
            if not sealed and sha256_of_file(path) != shard.sha256:
                path.unlink()
                return None
            _seal(path, shard.sha256)
        return path

    def reserve(self, shard: Shard) -> Path:
        """Makes room; the file to fill, already of its full size. Raises StorageError when there is no room."""
        part = self.root / "incoming" / f"{shard.sha256}.part"
        with self.counting():
            part.unlink(missing_ok=True)  # of a process that died
            self._evict(shard.num_bytes)
            with part.open("wb") as stream:
                stream.truncate(shard.num_bytes)
        return part

    def _evict(self, needed: int) -> None:
        self._remove_abandoned()
        sizes = {path: path.stat() for path in (self.root / "shards").iterdir()}
        incoming = sum(path.stat().st_size for path in (self.root / "incoming").glob("*.part"))
        excess = sum(found.st_size for found in sizes.values()) + incoming + needed - self.limit
        in_use = self._in_use()
        for path, found in sorted(sizes.items(), key=lambda entry: entry[1].st_atime_ns):
            if excess <= 0:
                return
            if path.stem not in in_use:
                path.unlink()
                excess -= found.st_size
        if excess > 0:
            raise StorageError(
                f"the cache {self.root} should hold {self.limit} bytes at most ($SEPL_CACHE_BYTES), and what is in use "
                f"leaves {needed - excess} of them free, a shard needs {needed}"
            )

    def _remove_abandoned(self) -> None:
        """What a process that died was fetching."""
        for part in (self.root / "incoming").glob("*.part"):
            lock = FileLock.take(part.with_suffix(".lock"), wait=False)
            if lock is not None:
                part.unlink(missing_ok=True)
                lock.release()

    def _in_use(self) -> set[str]:
        """SHA-256 of the shards of every dataset that a live process has open."""
        names: set[str] = set()
        for path in (self.root / "datasets").glob("*.lock"):
            if _is_held(path):
                with suppress(FileNotFoundError):
                    names.update((path.with_suffix("") / "shards.txt").read_text("ascii").split())
        return names


class CachedDataset:
    """The local copy of a remote dataset, as far as it was asked for."""

    def __init__(self, cache: ShardCache, folder: Path, source: Location, descriptor: int) -> None:
        self.folder = folder
        self._cache, self._source = cache, source
        weakref.finalize(self, os.close, descriptor)

    def shard(self, shard: Shard) -> Path:
        """The local path of a shard, fetched if need be; a process that finds another fetching it waits.

        Raises DatasetError when it is not the file that was published, StorageError when it cannot be fetched.
        """
        path = self._cache.use(shard)
        if path is not None:
            return path
        lock = FileLock.take(self._cache.root / "incoming" / f"{shard.sha256}.lock", wait=True)
        assert lock is not None
        try:
            return self._cache.use(shard) or self._fetch(shard)
        finally:
            lock.release()

    def copy_table(self, names: Sequence[str], sha256: str) -> None:
        """Brings a table into the folder, under the first name, from whichever of these names has this content.

        Where none has, nothing is brought.
        """
        for place in (self._source / name for name in names):
            content = place.read_bytes() if place.exists() else b""
            if sha256_of(content) == sha256:
                resolve(self.folder / names[0]).write_bytes(content)
                return

    def _fetch(self, shard: Shard) -> Path:
        part = self._cache.reserve(shard)
        try:
            with part.open("r+b") as stream:
                _copy(self._source / shard.file, stream, shard)
            _seal(part, shard.sha256)
            part.replace(self._cache.shard_path(shard.sha256))
        except OSError as problem:
            raise StorageError(f"cannot copy {(self._source / shard.file).uri} to {part}: {problem}") from problem
        finally:
            part.unlink(missing_ok=True)
        return self._cache.shard_path(shard.sha256)


def _copy(source: Location, stream: BinaryIO, shard: Shard) -> None:
    digest = hashlib.sha256()
    try:
        with source.filesystem.open_input_stream(source.path) as incoming:
            while block := incoming.read(_BLOCK):
                digest.update(block)
                stream.write(block)
    except FileNotFoundError:
        raise DatasetError(f"{source.uri} is gone; was the dataset published anew? Open it again") from None
    except ArrowException as problem:
        raise StorageError(f"cannot read {source.uri}: {problem}") from problem
    if digest.hexdigest() != shard.sha256:
        raise DatasetError(f"{source.uri} is not the file that was published (SHA-256 differs)")


def _seal(path: Path, sha256: str) -> None:
    """Marks a checked file by its time of change, which any later write alters, and notes that it is used now."""
    os.utime(path, ns=(time.time_ns(), _seal_of(sha256)))


def _seal_of(sha256: str) -> int:
    """Nanoseconds since 1970, of this shard's own."""
    return (_SEAL_YEAR_2001 + int(sha256[:7], 16)) * 10**9


def _is_held(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
