"""Where things are kept: a URI as a filesystem and a path, and publication that is whole or absent.

A URI is a local path, file://…, s3://… (with `?endpoint_override=…&scheme=http` for a server of one's own, or the
variable AWS_ENDPOINT_URL) or gs://…. Credentials come from the environment, never from the URI.
"""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyarrow import ArrowException
from pyarrow import fs as pafs

from sepl.errors import StorageError

_BYTES_AT_A_TIME = 8 << 20
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://")


@dataclass(frozen=True)
class Location:
    """A place in storage. `path` is the filesystem's own spelling, without scheme."""

    filesystem: pafs.FileSystem
    path: str
    uri: str

    @property
    def is_local(self) -> bool:
        return isinstance(self.filesystem, pafs.LocalFileSystem)

    @property
    def name(self) -> str:
        return self.path.rstrip("/").rsplit("/", 1)[-1]

    def local_path(self) -> Path:
        if not self.is_local:
            raise StorageError(f"a local path is needed here, was {self.uri}")
        return Path(self.path)

    def __truediv__(self, name: str) -> "Location":
        address, question, query = self.uri.partition("?")
        return Location(
            self.filesystem, f"{self.path.rstrip('/')}/{name}", f"{address.rstrip('/')}/{name}{question}{query}"
        )

    def exists(self) -> bool:
        return self._info().type != pafs.FileType.NotFound

    def is_folder(self) -> bool:
        return self._info().type == pafs.FileType.Directory

    def read_bytes(self) -> bytes:
        """The whole file; StorageError naming the URI when it is not there."""
        if self.is_local:  # Arrow opens no file whose name is not UTF-8
            with self._reporting("read"):
                return self.local_path().read_bytes()
        with self._reporting("read"), self.filesystem.open_input_stream(self.path) as stream:
            return stream.read()

    def write_bytes(self, data: bytes | memoryview) -> None:
        """Writes the file so that a reader sees the old content or the new, never a part."""
        with self._reporting("write"):
            if self.is_local:
                with self.staged() as staging:
                    staging.write_bytes(data)
                return
            with self.filesystem.open_output_stream(self.path) as stream:
                stream.write(data)  # an object store shows an object when it is closed

    @contextmanager
    def staged(self) -> Iterator[Path]:
        """An empty local file to write; it becomes this one when the block ends well, else nothing of it stays.

        A reader sees the old content or the new, also after the machine lost power. What the block itself raises is
        not touched.
        """
        with self._reporting("write"):
            staging = self._new_staging()
        try:
            yield staging
            with self._reporting("write"):
                self._take_over(staging)
        finally:
            staging.unlink(missing_ok=True)

    def _new_staging(self) -> Path:
        folder = Path(self.path).parent if self.is_local else None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{self.name}-", dir=folder)
        os.close(handle)
        return Path(name)

    def _take_over(self, staging: Path) -> None:
        with staging.open("rb") as source:
            if self.is_local:
                os.fsync(source.fileno())
                staging.chmod(0o644)  # mkstemp keeps others out
                staging.replace(self.path)
                return
            with self.filesystem.open_output_stream(self.path) as stream:
                while chunk := source.read(_BYTES_AT_A_TIME):
                    stream.write(chunk)

    def list_folder(self) -> list["Location"]:
        """What lies directly in this folder, by name; nothing when the folder is not there."""
        with self._reporting("list"):
            infos = self.filesystem.get_file_info(pafs.FileSelector(self.path, allow_not_found=True))
        return [self / info.base_name for info in sorted(infos, key=lambda info: info.base_name)]

    def delete_folder(self) -> None:
        with self._reporting("delete"):
            if self.exists():
                self.filesystem.delete_dir(self.path)

    def _info(self) -> pafs.FileInfo:
        with self._reporting("look at"):
            return self.filesystem.get_file_info(self.path)

    @contextmanager
    def _reporting(self, verb: str) -> Iterator[None]:
        try:
            yield
        except StorageError:
            raise
        except (OSError, ArrowException) as problem:
            raise StorageError(f"cannot {verb} {self.uri}: {problem}") from problem


def resolve(uri: str | Path) -> Location:
    """The place a URI names. Raises StorageError for a scheme that is not known."""
    text = str(uri)
    if not _SCHEME.match(text):
        return _local(Path(text).expanduser())
    if text.startswith("file://"):
        return _local(Path(text.removeprefix("file://")))
    try:
        filesystem, path = pafs.FileSystem.from_uri(text)
    except (ArrowException, OSError) as problem:
        raise StorageError(f"a URI should be a local path, s3://… or gs://…, was {text}: {problem}") from problem
    return Location(filesystem, path, text)


def _local(path: Path) -> Location:
    absolute = os.path.normpath(path.absolute())  # not resolve(): a link in the path is the user's own wish
    return Location(pafs.LocalFileSystem(), absolute, absolute)


def publish_folder(folder: Path, target: Location, last: str) -> None:
    """Brings a finished local folder to `target`, the file named `last` after all others.

    `last` is the manifest: its presence means that the folder is whole. On a local disk the folder appears at once by
    a rename, and its files are the source's own where the disk can link them: do not write into these afterwards.
    Raises StorageError when `target` already holds a manifest or, on a local disk, anything else.
    """
    check_unpublished(target, last)
    if target.is_local:
        _publish_locally(folder, target.local_path())
        return
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    for name in [*(name for name in names if name != last), last]:
        place = target / name
        with place._reporting("write"):
            pafs.copy_files(str(folder / name), place.path, pafs.LocalFileSystem(), target.filesystem)


def check_unpublished(target: Location, last: str) -> None:
    """Raises StorageError, as `publish_folder` would after the work, when it could not publish at `target`."""
    if (target / last).exists():
        raise StorageError(f"{target.uri} already holds a published {last}; give another place or remove it first")
    if target.is_local:
        path = target.local_path()
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise StorageError(f"{path} should be a new or an empty folder, holds something else")


def check_writable(file: Location) -> None:
    """Raises StorageError when a file could not be written there, before the work whose result it is to hold.

    Looks at local paths only; makes nothing.
    """
    if not file.is_local:
        return
    path = file.local_path().absolute()
    if path.is_dir():
        raise StorageError(f"{path} should be a file to write, is a folder")
    above = next(folder for folder in path.parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise StorageError(f"{path} cannot be written: {above} is no folder that may be written to")


def _publish_locally(folder: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        shutil.copytree(folder, staging, dirs_exist_ok=True, copy_function=link_or_copy)
        staging.chmod(0o755)  # mkdtemp keeps others out; a published folder is for the team
        staging.replace(target)  # replaces an empty folder too
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """A second name for the same bytes where the disk allows it: a dataset is not written twice."""
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)


def local_copy(source: Location, cache: Path) -> Path:
    """A local folder with the files of `source`: itself when local, else a copy below `cache` named by its URI."""
    if source.is_local:
        return source.local_path()
    target = cache / hashlib.sha256(source.uri.encode()).hexdigest()[:16]
    target.mkdir(parents=True, exist_ok=True)
    with source._reporting("copy"):
        pafs.copy_files(source.path, str(target), source.filesystem, pafs.LocalFileSystem())
    return target


def sha256_of(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
