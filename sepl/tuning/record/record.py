"""What a study is: `study.json` in its folder, written when it begins, and where its trials are kept.

STORAGE/STUDY/study.json         this record
STORAGE/STUDY/optuna.db          the trials, unless --optuna-url names a database
STORAGE/STUDY/tune/run-000/      Ray Tune's own folder of each driver: results and checkpoints of trials
STORAGE/STUDY/affinity.json      how tasks help each other, of a study that was given it
STORAGE/STUDY/costs/             what networks cost in use (`costs`)
STORAGE/STUDY/finalists/         the best, trained again, and what they came to
STORAGE/STUDY/history.json       what it began with, of a study that began with another's trials
STORAGE/STUDY/leaderboard.json   the finished trials, best first
STORAGE/STUDY/report.html
STORAGE/registry/                bundles
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import optuna
from optuna.storages import BaseStorage

from sepl.bundle.unsealing import UnsealingRecord
from sepl.errors import ConfigError, StorageError, StudyError
from sepl.locking import hold
from sepl.settings import Settings
from sepl.storage import Location, resolve
from sepl.tuning.record.database import absolute_url, open_database

FORMAT = 1
RECORD = "study.json"
AFFINITY = "affinity.json"
DATABASE = "optuna.db"
HISTORY = "history.json"
LEADERBOARD = "leaderboard.json"
REPORT = "report.html"

# Attributes of the Optuna study.
ENDED = "ended"
"""Why the search is over."""
NUM_ASKED = "num_asked"
"""Trials that were asked for when it ended; more of them later let it go on."""
PRICE = "price_per_hour"
"""Of a GPU, or a CPU core where there is none, as the newest driver was told."""
BUNDLE_ID = "bundle_id"
"""Of the published winner; since then the sealed test patients have been seen and the study stays as it is."""

_STUDY_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")  # also the alias of its bundle


class StudyRecord(Settings):
    """Fixed when the study begins; a resumed study has to ask the same question of the same data."""

    format: int = FORMAT
    study: str
    study_id: str | None = None
    """Also in the database, so that the trials of another storage are not taken for this study's."""
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
    known_pattern: str | None = None
    """Values known of patients, such as sex+age, on which trials are judged too."""
    sampler: str = "tpe"
    """Who proposes."""
    max_parameters: int | None = None
    """Of a configuration that is not refused."""
    max_ms_per_photograph: float | None = None
    """Of a configuration that is not refused."""
    from_study: str | None = None
    """Another study of the storage, whose trials it began with."""


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

    def unsealing(self, fingerprint: str) -> UnsealingRecord:
        """When the study read the sealed test patients of a dataset."""
        return UnsealingRecord(self.registry, self.name, fingerprint)

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
        """Holds the study for this process; StorageError when another one has it. The lock ends with the process."""
        with hold(self.location, "searching"):
            yield

    def open_optuna_storage(self, optuna_url: str | None) -> BaseStorage:
        """The database of trials, made when it is not there. Raises StudyError when it cannot be opened."""
        return open_database(self._database_url(optuna_url))

    def load_study(self) -> optuna.Study:
        """The study's trials, to read."""
        url = self.read().optuna_url
        try:
            return optuna.load_study(study_name=self.name, storage=self.open_optuna_storage(url))
        except KeyError:
            raise StudyError(f"study {self.name} has no trial yet in {self._database_url(url)}") from None

    def is_over(self, optuna_url: str | None) -> bool:
        """Whether the database says that the search has ended; no when it has no such study."""
        studies = self.open_optuna_storage(optuna_url).get_all_studies()
        return any(study.study_name == self.name and study.user_attrs.get(ENDED) is not None for study in studies)

    def check_database(self, optuna_url: str | None) -> str | None:
        """The URL as it is kept, its file's path absolute. Raises ConfigError unless the trials can be kept there."""
        if optuna_url is None and not self.location.is_local:
            raise ConfigError(
                "--optuna-url should name a database (postgresql://…) when the storage is no local folder, "
                f"was not given for {self.location.uri}"
            )
        return None if optuna_url is None else absolute_url(optuna_url)

    def _database_url(self, optuna_url: str | None) -> str:
        if optuna_url is not None:
            return optuna_url
        folder = self.location.local_path()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise StorageError(
                f"--storage should be a folder that can be written to, {folder} cannot: {problem.strerror}"
            ) from problem
        return f"sqlite:///{folder / DATABASE}"
