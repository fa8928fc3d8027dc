"""A prepared dataset: what `jobs.prepare` publishes and every trial maps.

A folder: `manifest.json` (written last), `labels.parquet` (a row a photograph, in the order of the shards),
`rejected.csv`, `findings.csv`, and Arrow IPC shards of uint8 pixels named by content. Pixels are mapped, never loaded.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import ArrowException
from pydantic import Field

from sepl.data.dataset.cache import CachedDataset, ShardCache
from sepl.data.dataset.scaling import LabelScaler
from sepl.data.dataset.shards import Shard, map_shard
from sepl.data.imaging.photograph import ImageSpec
from sepl.data.imaging.quality import QualityThresholds
from sepl.data.patients.index import index_patients, labels_per_patient, mean_per_patient
from sepl.data.patients.splits import COHORT_SPLITS
from sepl.errors import DatasetError
from sepl.settings import Settings
from sepl.storage import Location, resolve, sha256_of, sha256_of_file
from sepl.tasks import Task, TaskTable

FORMAT = 2
"""Since 2 the label table has the day of each photograph's visit."""
_READ_FORMATS = (1, 2)
MANIFEST_FILE = "manifest.json"
LABELS_FILE = "labels.parquet"
REJECTED_FILE = "rejected.csv"
FINDINGS_FILE = "findings.csv"

_TEXTS = ("image", "patient", "eye", "site", "camera", "cohort_split")

_log = logging.getLogger(__name__)


class Manifest(Settings):
    """What a prepared dataset is; its presence means that the dataset is whole."""

    format: int = FORMAT
    name: str
    image: ImageSpec
    tasks: TaskTable
    scaler: LabelScaler
    """Fitted on the train patients."""
    shards: tuple[Shard, ...]
    tables: dict[str, str]
    """SHA-256 of the files beside the shards."""
    num_patients: dict[str, int]
    """By cohort split."""
    num_photographs: dict[str, int]
    num_rejected: int
    seed: int
    """Of the cohort splits."""
    reachable_skill: dict[str, float] = Field(default_factory=dict)
    """Best skill that the data allow, by task, where it is known (simulated cohorts)."""
    quality: QualityThresholds | None = None
    """The limits that its photographs passed, which a model of theirs applies to others; None: prepared before these
    were kept. No part of the fingerprint, since limits that refuse the same give the same dataset."""
    known_patterns: tuple[tuple[str, ...], ...] | None = None
    """Sets of tasks that will be known beside the photographs; None: age and sex, and all simple factors. No part of
    the fingerprint."""
    fingerprint: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 over pixels, labels, tasks and splits; the same for the same content, wherever and whenever prepared."""


@dataclass(frozen=True, eq=False)
class Photographs:
    """The photographs of one cohort split, or of several joined; rows in the order of the shards."""

    cohort_splits: tuple[str, ...]
    images: NDArray[np.str_]
    """(N,) pseudonyms, or the names of the cohort's table where it was prepared to keep them."""
    patients: NDArray[np.str_]
    """(N,)"""
    labels_NT: NDArray[np.float64]
    """In the tasks' units; NaN where absent."""
    shards: tuple[NDArray[np.uint8], ...]
    """Pixels (n_i, H, W, 3) RGB, memory-mapped and read-only."""
    days: NDArray[np.float64]
    """(N,) since the patient's first visit; NaN where no date is known, as in a dataset of format 1."""
    eyes: NDArray[np.str_]
    """(N,) "left", "right" or "" where nobody tells."""
    sites: NDArray[np.str_]
    """(N,) "" where nobody tells."""
    cameras: NDArray[np.str_]
    """(N,) "" where nobody tells."""

    @property
    def num_photographs(self) -> int:
        return len(self.images)

    @property
    def num_patients(self) -> int:
        return int(self.patient_index.max(initial=-1)) + 1

    @cached_property
    def patient_index(self) -> NDArray[np.int64]:
        """(N,) 0 … P−1, patients numbered by first appearance."""
        return index_patients(self.patients)

    def per_patient(self, values_NT: NDArray[np.floating]) -> NDArray[np.float64]:
        """Values (P, T): the mean over a patient's photographs, NaN left out; NaN where all are."""
        return mean_per_patient(values_NT, self.patient_index)

    def labels_per_patient(self, tasks: Iterable[Task]) -> NDArray[np.float64]:
        """Labels (P, T) of patients for the dataset's tasks: as `per_patient`, but levels of graded tasks."""
        return labels_per_patient(self.labels_NT, self.patient_index, tasks)


@dataclass(frozen=True, eq=False)
class PreparedDataset:
    """An opened dataset. Opening reads the manifest; labels are read and pixels mapped when asked for."""

    uri: str
    folder: Path
    """Where its tables are on this machine."""
    manifest: Manifest
    _cached: CachedDataset | None = None
    """Of one that is not local."""

    @classmethod
    def open(cls, uri: str | Path, cache: Path | None = None, *, fingerprint: str | None = None) -> "PreparedDataset":
        """The dataset at a URI. Of one that is not local, what is used is fetched once a machine (`cache` beside this).

        `cache` is the folder for that, $SEPL_CACHE or ~/.cache/sepl unless given; `fingerprint` that of the dataset
        which a study began with. Raises DatasetError when there is no dataset, it is of another format or another
        fingerprint, or a shard is missing or of another size.
        """
        location = resolve(uri)
        manifest = read_manifest(location)
        if fingerprint is not None and manifest.fingerprint != fingerprint:
            raise DatasetError(
                f"dataset {uri} changed since the study began: was {fingerprint}, is {manifest.fingerprint}"
            )
        if manifest.format != FORMAT:
            _log.warning(
                "%s is of format %d, which tells no days between visits; the same jobs.prepare again brings it to %d, "
                "without decoding anything",
                location.uri,
                manifest.format,
                FORMAT,
            )
        if location.is_local:
            for shard in manifest.shards:
                _check_size(location.local_path() / shard.file, shard.num_bytes)
            return cls(str(uri), location.local_path(), manifest)
        key = sha256_of(manifest.model_dump_json().encode())[:32]
        cached = ShardCache.default(cache).open(key, location, manifest.shards)
        return cls(str(uri), cached.folder, manifest, cached)

    @property
    def tasks(self) -> TaskTable:
        return self.manifest.tasks

    @property
    def scaler(self) -> LabelScaler:
        return self.manifest.scaler

    @property
    def image_spec(self) -> ImageSpec:
        return self.manifest.image

    @property
    def fingerprint(self) -> str:
        return self.manifest.fingerprint

    def photographs(self, *cohort_splits: str) -> Photographs:
        """The photographs of these cohort splits, in the order of `COHORT_SPLITS`; DatasetError for an unknown one."""
        unknown = [name for name in cohort_splits if name not in COHORT_SPLITS]
        if unknown or not cohort_splits:
            raise DatasetError(f"cohort_split should be one of {', '.join(COHORT_SPLITS)}, was {', '.join(unknown)!r}")
        columns = self._columns
        rows = np.isin(columns["cohort_split"], cohort_splits)
        return Photographs(
            cohort_splits=tuple(name for name in COHORT_SPLITS if name in cohort_splits),
            images=columns["image"][rows],
            patients=columns["patient"][rows],
            labels_NT=np.stack([columns[f"task {task.name}"][rows] for task in self.tasks], axis=1),
            shards=tuple(
                map_shard(self._shard(shard), self.image_spec.size)
                for shard in self.manifest.shards
                if shard.cohort_split in cohort_splits
            ),
            days=columns["day"][rows],
            eyes=columns["eye"][rows],
            sites=columns["site"][rows],
            cameras=columns["camera"][rows],
        )

    def verify(self) -> None:
        """Reads every file and compares its SHA-256 with the manifest's; DatasetError naming the first that differs."""
        for name in self.manifest.tables:
            self._table(name)
        for shard in self.manifest.shards:
            path = self._shard(shard)
            if not path.is_file() or sha256_of_file(path) != shard.sha256:
                raise DatasetError(f"{path} is not the file that was published (SHA-256 differs)")

    def _table(self, name: str) -> Path:
        """A table of this dataset, which is under its digest when a newer dataset stands at the same place."""
        sha256 = self.manifest.tables[name]
        if self._cached is not None and not _is_whole(self.folder / name, sha256):
            self._cached.copy_table((name, table_under_digest(name, sha256)), sha256)
        for path in (self.folder / name, self.folder / table_under_digest(name, sha256)):
            if _is_whole(path, sha256):
                return path
        raise DatasetError(f"{self.folder / name} is not the file that was published (SHA-256 differs)")

    def _shard(self, shard: Shard) -> Path:
        return self.folder / shard.file if self._cached is None else self._cached.shard(shard)

    @cached_property
    def _columns(self) -> Mapping[str, NDArray]:
        path = self._table(LABELS_FILE)
        try:
            with pq.ParquetFile(path) as file:  # read_table would import pandas, a second for every trial's process
                table = file.read()
            columns: dict[str, NDArray] = {name: np.array(table[name].to_pylist(), np.str_) for name in _TEXTS}
            has_days = self.manifest.format > 1
            columns["day"] = (
                np.array(table["day"].to_pylist(), np.float64) if has_days else np.full(table.num_rows, np.nan)
            )
            labels = {f"task {task.name}": np.array(table[task.name].to_pylist(), np.float64) for task in self.tasks}
        except (OSError, ArrowException, KeyError) as problem:
            raise DatasetError(f"{path}: should be the label table of this dataset: {problem}") from None
        if table.num_rows != sum(shard.num_photographs for shard in self.manifest.shards):
            raise DatasetError(f"{path}: should have a row for every photograph in the shards, had {table.num_rows}")
        return {**columns, **labels}


def read_manifest(location: Location) -> Manifest:
    """The manifest of the dataset at a place; DatasetError when there is none or it is of another format."""
    if not (location / MANIFEST_FILE).exists():
        raise DatasetError(f"no prepared dataset at {location.uri} (no {MANIFEST_FILE}); make one with jobs.prepare")
    text, where = (location / MANIFEST_FILE).read_bytes(), (location / MANIFEST_FILE).uri
    try:
        found = json.loads(text).get("format")  # before the keys, which another format may name otherwise
    except (ValueError, AttributeError):
        raise DatasetError(f"{where} should be a JSON object") from None
    if found not in _READ_FORMATS:
        raise DatasetError(f"{where}: format should be {FORMAT}, was {found}; read it with the sepl that wrote it")
    return Manifest.parse_json(text, where, DatasetError)


def table_under_digest(name: str, sha256: str) -> str:
    """Where a table lies once a newer dataset has taken its name: `labels-0123456789ab.parquet`."""
    stem, _, suffix = name.partition(".")
    return f"{stem}-{sha256[:12]}.{suffix}"


def _check_size(path: Path, num_bytes: int) -> None:
    size = path.stat().st_size if path.is_file() else None
    if size != num_bytes:
        raise DatasetError(f"{path} should have {num_bytes} bytes, {'is missing' if size is None else f'had {size}'}")


def _is_whole(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of_file(path) == sha256
