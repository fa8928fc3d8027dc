"""What a study is: `study.json` in its folder, written when it begins, and where its trials are kept.

STORAGE/STUDY/study.json         this record
STORAGE/STUDY/optuna.db          the trials, unless --optuna-url names a database
STORAGE/STUDY/tune/run-000/      Ray Tune's own folder of each driver: results and checkpoints of trials
STORAGE/STUDY/affinity.json      how tasks help each other, of a study that was given it
STORAGE/STUDY/leaderboard.json   the finished trials, best first
STORAGE/STUDY/report.html
STORAGE/registry/                bundles
"""

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import optuna
from optuna.storages import RDBStorage
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from sepl.config import Settings
from sepl.errors import ConfigError, StorageError, StudyError
from sepl.storage import Location, resolve

FORMAT = 1
RECORD = "study.json"
AFFINITY = "affinity.json"

# Attributes of the Optuna study.
ENDED = "ended"
"""Why the search is over."""
BUNDLE_ID = "bundle_id"
"""Of the published winner; since then the sealed test patients have been seen and the study stays as it is."""

_STUDY_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")  # also the alias of its bundle
_SQLITE_TIMEOUT_S = 30  # the report and a dashboard read while the driver writes


class StudyRecord(Settings):
    """Fixed when the study begins; a resumed study has to ask the same question of the same data."""

    format: int = FORMAT
    study: str
    dataset: str
    """URI of the prepared dataset."""
    fingerprint: str
    space: str
    space_sha256: str
    """Of the search space's source."""
    num_epochs: int
    seed: int
    optuna_url: str | None
    """None: `optuna.db` beside this record."""
    affinity_sha256: str | None = None
    """Of the affinity whose task splits are offered too, kept beside this record."""


@dataclass(frozen=True)
class StudyFolder:
    """The place of one study in storage."""

    name: str
    location: Location
    registry: Location

    @classmethod
    def at(cls, storage: str, study: str) -> "StudyFolder":
        """Raises ConfigError for a name that could not be a folder."""
        if not _STUDY_NAME.fullmatch(study) or study == "registry":
            raise ConfigError(
                "--study should be a letter, then letters, digits, '_' or '-', and not 'registry', where bundles are "
                f"kept; was {study!r}"
            )
        root = resolve(storage)
        return cls(study, root / study, root / "registry")

    def exists(self) -> bool:
        return (self.location / RECORD).exists()

    def read(self) -> StudyRecord:
        """Raises StudyError when there is no study or its record is of another format."""
        record = self.location / RECORD
        if not record.exists():
            raise StudyError(
                f"--study should name a study in {self.registry.uri.removesuffix('registry')}, found no {record.uri}"
            )
        return StudyRecord.parse_json(record.read_bytes(), record.uri, error=StudyError)

    def affinity(self) -> bytes | None:
        """The affinity that the study was given, None without one."""
        kept = self.location / AFFINITY
        return kept.read_bytes() if kept.exists() else None

    def write(self, record: StudyRecord, affinity: bytes | None = None) -> None:
        if affinity is not None:
            (self.location / AFFINITY).write_bytes(affinity)
        (self.location / RECORD).write_bytes((record.model_dump_json(indent=2) + "\n").encode())

    @contextmanager
    def only_driver(self) -> Iterator[None]:
        """Holds the study for this process; StudyError when another one on a shared disk has it.

        The lock ends with the process, however that ends. In an object store nothing is locked.
        """
        if not self.location.is_local:
            yield
            return
        with self._lock_file() as lock:
            self._lock(lock)
            yield

    def open_optuna_storage(self, optuna_url: str | None) -> RDBStorage:
        """The database of trials, made when it is not there.

        Raises StudyError when it cannot be opened.
        """
        url = optuna_url or f"sqlite:///{self._local_database()}"
        kwargs = {"connect_args": {"timeout": _SQLITE_TIMEOUT_S}} if url.startswith("sqlite") else {}
        try:
            return RDBStorage(url, engine_kwargs=kwargs)
        except (SQLAlchemyError, ImportError) as problem:  # ImportError: the database's driver is not installed
            raise StudyError(
                f"cannot open the study's database {url}: {str(problem).partition(chr(10))[0]}"
            ) from problem

    def load_study(self) -> optuna.Study:
        """The study's trials, to read."""
        storage = self.open_optuna_storage(self.read().optuna_url)
        try:
            return optuna.load_study(study_name=self.name, storage=storage)
        except KeyError:
            raise StudyError(f"study {self.name} has no trial yet in {storage.url}") from None

    def check_database(self, optuna_url: str | None) -> None:
        """Raises ConfigError unless the trials can be kept there."""
        if optuna_url is None and not self.location.is_local:
            raise ConfigError(
                "--optuna-url should name a database (postgresql://…) when the storage is no local folder, "
                f"was not given for {self.location.uri}"
            )
        if optuna_url is not None:
            _check_url(optuna_url)

    def _local_database(self) -> str:
        return str(self._made() / "optuna.db")

    def _made(self) -> Path:
        folder = self.location.local_path()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise _not_writable(folder, problem) from problem
        return folder

    def _lock_file(self) -> TextIO:
        path = self._made() / "driver.lock"
        try:
            return path.open("w")
        except OSError as problem:
            raise _not_writable(path, problem) from problem

    def _lock(self, file: TextIO) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            where = self.location.local_path()
            raise StudyError(f"study {self.name} is being searched by another process at {where}") from None
        except OSError as problem:
            raise StorageError(
                f"--storage should be on a file system with file locks (flock), {file.name} cannot be locked: "
                f"{problem.strerror}"
            ) from problem


def _not_writable(path: Path, problem: OSError) -> StorageError:
    return StorageError(f"--storage should be a folder that can be written to, {path} cannot: {problem.strerror}")


def _check_url(url: str) -> None:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError(f"--optuna-url should be like postgresql://user@host/database, was {url!r}") from None
    if parsed.password is not None:
        raise ConfigError(
            "--optuna-url should hold no password, which would be stored with the study; use a PGPASSFILE"
        )
