"""What the report of a preparation counts, column by column, so that a million photographs need little memory."""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sepl.data.patients.index import labels_per_patient
from sepl.data.patients.splits import COHORT_SPLITS
from sepl.tasks import Task, TaskTable

MOST_PATIENTS_CORRELATED = 10_000
MOST_GROUPS = 8
"""Sites or cameras shown by themselves; the others are taken together."""
_MOST_BINS = 30
_FEWEST_PAIRS = 10
"""Patients with both labels, below which a correlation is not shown."""


@dataclass(frozen=True)
class Groups:
    """A column of texts as numbers: `names[code_N[i]]`; the most frequent first, those beyond the most as one."""

    names: tuple[str, ...]
    code_N: NDArray[np.int64]
    num_different: int
    """Known ones, those taken together included."""

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Histogram:
    """`counts` in bins between `edges`; the outermost hold whatever lies beyond as well."""

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]


class PreparedLabels:
    """labels.parquet, read a column at a time."""

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetFile(path)
        self.columns = self._file.schema_arrow.names
        self.num_photographs = self._file.metadata.num_rows

    def numbers(self, name: str) -> NDArray[np.float64]:
        """(N,) NaN where absent."""
        return self._file.read([name])[name].to_numpy().astype(np.float64, copy=False)

    def codes(self, name: str) -> tuple[list[str], NDArray[np.int64]]:
        """The different texts by first appearance, and the number of each photograph's (N,)."""
        column = pc.fill_null(self._file.read([name])[name].combine_chunks(), "")
        encoded = pa.chunked_array([column]).combine_chunks().dictionary_encode()
        return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)

    def groups(self, name: str) -> Groups | None:
        """Sites or cameras; None where the column is absent or says nothing."""
        if name not in self.columns:
            return None
        names, code_N = self.codes(name)
        if not any(names):
            return None
        counts = np.bincount(code_N, minlength=len(names))
        order = sorted(range(len(names)), key=lambda code: (-counts[code], names[code]))
        shown = order if len(order) <= MOST_GROUPS else order[: MOST_GROUPS - 1]
        place = np.full(len(names), len(shown))
        place[shown] = np.arange(len(shown))
        others = [f"{len(order) - len(shown)} others"] if len(shown) < len(order) else []
        return Groups((*(names[code] or "unknown" for code in shown), *others), place[code_N], sum(map(bool, names)))

    @cached_property
    def photograph_splits(self) -> NDArray[np.int64]:
        """Index into COHORT_SPLITS of each photograph."""
        names, code_N = self.codes("cohort_split")
        return np.array([COHORT_SPLITS.index(name) for name in names], np.int64)[code_N]

    @cached_property
    def photograph_patients(self) -> NDArray[np.int64]:
        """(N,) 0 … P−1: the patient of each photograph."""
        return self.codes("patient")[1]

    @property
    def num_patients(self) -> int:
        return int(self.photograph_patients.max(initial=-1)) + 1

    @cached_property
    def first_photographs(self) -> NDArray[np.int64]:
        """The first photograph of each patient."""
        return np.unique(self.photograph_patients, return_index=True)[1]

    @property
    def patient_splits(self) -> NDArray[np.int64]:
        return self.photograph_splits[self.first_photographs]

    def per_patient(self, values_N: NDArray[np.float64], task: Task) -> NDArray[np.float64]:
        """(P,) the mean over a patient's photographs, a level where the task is graded; NaN where all are."""
        return labels_per_patient(values_N[:, None], self.photograph_patients, [task])[:, 0]


@dataclass(frozen=True)
class TaskCounts:
    """What is known of one task. S cohort splits; patients' values are means over their photographs, or levels."""

    task: Task
    histogram: Histogram
    median: float
    num_missing: int
    """Photographs without a label."""
    num_S: NDArray[np.int64]
    """Patients with a label, by cohort split."""
    mean_S: NDArray[np.float64]
    """NaN where nobody has a label."""
    deviation_S: NDArray[np.float64]
    deviation: float
    """Standard deviation over all patients; NaN below two."""
    missing_G: NDArray[np.float64]
    """Share of photographs without a label in each column of the missingness matrix."""
    levels: tuple["TaskCounts", ...] = ()
    """Of a graded task, each level as the binary task of having it."""


@dataclass(frozen=True)
class MatrixColumn:
    """Photographs that a column of the missingness matrix is about."""

    kind: str
    """"cohort split", "site", "camera"; "" for all photographs."""
    name: str
    mask_N: NDArray[np.bool_]

    @property
    def num_photographs(self) -> int:
        return int(self.mask_N.sum())


@dataclass(frozen=True)
class LabelCounts:
    """What is known of all tasks."""

    tasks: list[TaskCounts]
    columns: list["MatrixColumn"]
    """Of the missingness matrix."""
    correlation_TT: NDArray[np.float64]
    """Spearman's, over patients; NaN where fewer than ten have both labels, and of classes, which have no order."""
    num_correlated: int
    """Patients it was taken from."""


def count_labels(labels: PreparedLabels, tasks: TaskTable, groups: dict[str, Groups]) -> LabelCounts:
    """Reads each task's column once. `groups` (site, camera) become columns of the missingness matrix."""
    columns = _matrix_columns(labels, groups)
    sample_P = _sample(labels.num_patients)
    sampled = np.empty((len(sample_P), len(tasks)), np.float32)
    counted = []
    for index, task in enumerate(tasks):
        values_N = labels.numbers(task.name)
        values_P = labels.per_patient(values_N, task)
        sampled[:, index] = np.nan if task.kind == "categorical" else values_P[sample_P]
        counted.append(_count_task(task, values_N, values_P, labels.patient_splits, columns))
    frame = pd.DataFrame(sampled)
    with np.errstate(all="ignore"):
        correlation_TT = frame.corr(method="spearman", min_periods=_FEWEST_PAIRS).to_numpy()
    return LabelCounts(counted, columns, correlation_TT, num_correlated=len(sample_P))


def _matrix_columns(labels: PreparedLabels, groups: dict[str, Groups]) -> list[MatrixColumn]:
    columns = [MatrixColumn("", "all", np.ones(labels.num_photographs, bool))]
    for index, name in enumerate(COHORT_SPLITS):
        columns.append(MatrixColumn("cohort split", name, labels.photograph_splits == index))
    for kind, found in groups.items():
        if len(found) > 1:
            columns += [MatrixColumn(kind, name, found.code_N == code) for code, name in enumerate(found.names)]
    return columns


def _count_task(
    task: Task,
    values_N: NDArray[np.float64],
    values_P: NDArray[np.float64],
    split_P: NDArray[np.int64],
    columns: list[MatrixColumn],
) -> TaskCounts:
    missing_N = ~np.isfinite(values_N)
    known_P = np.isfinite(values_P)
    known, of_known = values_P[known_P], split_P[known_P]
    parts = [known[of_known == split] for split in range(len(COHORT_SPLITS))]
    having = {
        level: np.where(known_P, values_P == place, np.nan).astype(np.float64)
        for place, level in enumerate(task.levels)
    }
    return TaskCounts(
        task=task,
        histogram=_histogram_of(task, known),
        median=float(np.median(known)) if len(known) else np.nan,
        num_missing=int(missing_N.sum()),
        num_S=np.array([len(part) for part in parts]),
        mean_S=np.array([part.mean() if len(part) else np.nan for part in parts]),
        deviation_S=np.array([part.std(ddof=1) if len(part) > 1 else np.nan for part in parts]),
        deviation=float(known.std(ddof=1)) if len(known) > 1 else np.nan,
        missing_G=np.array([_share(missing_N[column.mask_N]) for column in columns]),
        levels=tuple(
            _count_task(_level_task(task, level), values_N, having_P, split_P, columns)
            for level, having_P in having.items()
        ),
    )


def _level_task(task: Task, level: str) -> Task:
    return Task(name=task.name, kind="binary", unit="probability", label=f"{task.label}: {level}")


def _histogram_of(task: Task, known: NDArray[np.float64]) -> Histogram:
    if task.is_graded:
        num_levels = len(task.levels)
        counts = np.bincount(known.astype(np.int64), minlength=num_levels)
        return Histogram(np.arange(-0.5, num_levels), counts)
    return two_bars(known) if task.kind == "binary" else histogram(known)


def _share(holds: NDArray[np.bool_]) -> float:
    return float(holds.mean()) if len(holds) else np.nan


def two_bars(values: NDArray[np.float64]) -> Histogram:
    """Of a binary task: patients who are 0 and 1 in most of their photographs."""
    ones = int((values >= 0.5).sum())
    return Histogram(np.array([-0.5, 0.5, 1.5]), np.array([len(values) - ones, ones]))


def histogram(values: NDArray[np.float64], tail: float = 0.0025) -> Histogram:
    """Up to 30 bins, as wide as a whole number of the steps in which the values were measured.

    The outermost bins gather the share `tail` of the values at either end, so that a few far ones hide nothing.
    """
    if not len(values):
        return Histogram(np.array([0.0, 1.0]), np.array([0]))
    low, high = np.quantile(values, [tail, 1 - tail])
    step = _step_of(values)
    if step:
        width = max(1, int(np.ceil((high - low) / step / _MOST_BINS))) * step
        start = np.floor(low / step) * step - step / 2
        edges = start + width * np.arange(int(np.ceil((high - start) / width)) + 1)
    else:
        edges = np.linspace(low, high, _MOST_BINS + 1) if high > low else np.array([low - 0.5, low + 0.5])
    return Histogram(edges, np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0])


def _step_of(values: NDArray[np.float64]) -> float | None:
    """The step that all values are multiples of; None for values without one that shows in a histogram."""
    for step in (1.0, 0.5, 0.1, 0.05):
        if np.allclose(values / step, np.round(values / step), rtol=0, atol=1e-4):
            return step
    return None


def _sample(num_patients: int) -> NDArray[np.int64]:
    """The same patients every time; all when they are not too many."""
    if num_patients <= MOST_PATIENTS_CORRELATED:
        return np.arange(num_patients)
    return np.sort(np.random.default_rng(0).choice(num_patients, MOST_PATIENTS_CORRELATED, replace=False))


@dataclass
class Refusals:
    """The photographs refused for one kind of reason."""

    kind: str
    num: int = 0
    details: Counter[str] = field(default_factory=Counter)
    """Photographs by reason, numbers left out."""
    example: str = ""
    thumbnails: list[str] = field(default_factory=list)
    """Files below the dataset, with the row of the cohort's table."""


def count_refusals(path: Path) -> list[Refusals]:
    """rejected.csv by kind of reason, the most frequent first."""
    found: dict[str, Refusals] = {}
    for line in _lines(path):
        kind = line["kind"]
        entry = found.setdefault(kind, Refusals(kind, example=line["reason"]))
        entry.num += 1
        # for people: sentences that differ by their numbers alone are shown as one
        entry.details[re.sub(r"\d+(\.\d+)?(e-?\d+)?", "…", line["reason"])] += 1
        if line.get("thumbnail"):
            entry.thumbnails.append(line["thumbnail"])
    return sorted(found.values(), key=lambda entry: (-entry.num, entry.kind))


@dataclass
class FindingCounts:
    """The findings of one kind in one column of one table."""

    kind: str
    table: str
    column: str
    num: int
    rows: list[str]
    """The first few."""
    example: str


_MOST_ROWS_NAMED = 5


def count_findings(path: Path) -> list[FindingCounts]:
    """findings.csv by kind and column, the most frequent first; nothing where there is no such file."""
    found: dict[tuple[str, str, str], FindingCounts] = {}
    for line in _lines(path) if path.exists() else ():
        key = line["kind"], line.get("table", ""), line["column"]
        entry = found.setdefault(key, FindingCounts(*key, num=0, rows=[], example=line["detail"]))
        entry.num += 1
        if len(entry.rows) < _MOST_ROWS_NAMED and line["row"] != "0":
            entry.rows.append(line["row"])
    return sorted(found.values(), key=lambda entry: (-entry.num, entry.kind, entry.table, entry.column))


def cross_tabulate(labels: PreparedLabels, groups: Groups) -> NDArray[np.int64]:
    """(G, S) patients of each group in each cohort split, each by the first photograph."""
    code_P = groups.code_N[labels.first_photographs]
    cells = np.bincount(code_P * len(COHORT_SPLITS) + labels.patient_splits, minlength=len(groups) * len(COHORT_SPLITS))
    return cells.reshape(len(groups), len(COHORT_SPLITS))


def _lines(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream)
