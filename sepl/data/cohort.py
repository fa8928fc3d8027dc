"""A cohort as its owner describes it: `cohort.toml`, a table, a folder of photographs. docs/cohorts.md shows one.

Everything a stranger can get wrong is checked here, once, before a photograph is opened.
"""

import posixpath
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, ValidationError

from sepl.config import Settings, describe
from sepl.data.table import Code, CohortTable, read_table
from sepl.errors import CohortError
from sepl.storage import Location, resolve
from sepl.tasks import BUILT_IN_TASKS, Task, TaskKind, TaskTable

LABEL_COLUMNS = ("image", "patient", "eye", "cohort_split", "shard", "row")
"""Columns of the prepared label table beside the tasks; no task may take their names."""

_POSITIVE: tuple[Code, ...] = (1, "true", "yes", "y", "positive")
_NEGATIVE: tuple[Code, ...] = (0, "false", "no", "n", "negative")
_MALE: tuple[Code, ...] = (1, "male", "m")
_FEMALE: tuple[Code, ...] = (0, "female", "f")


def _listed(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


Codes = Annotated[tuple[Code, ...], BeforeValidator(_listed), Field(min_length=1)]


class Columns(Settings):
    """Which column of the table says what."""

    image: str = "image"
    """Path of the photograph below the image folder."""
    patient: str = "patient"
    eye: str | None = None
    """Kept as it is written; None when the table does not say."""


class TaskColumn(Settings):
    """One `[tasks.NAME]` section. A built-in task needs its column only; a task of one's own, what it is as well."""

    column: str
    kind: TaskKind | None = None
    unit: str | None = None
    label: str | None = None
    low: float | None = None
    high: float | None = None
    positive: Codes | None = None
    """Values that mean 1 in a binary task; every other value then means 0, unless `negative` is given too."""
    negative: Codes | None = None
    reachable_skill: float | None = Field(default=None, le=1.0)
    """Best skill that the data allow, where it is known (simulated cohorts)."""

    def task(self, name: str) -> Task:
        """The task that this section names or defines. Raises ValueError."""
        if name in LABEL_COLUMNS:
            raise ValueError(f"a task should not be named {name}: the prepared table has a column of that name")
        task = self._built_in(name) if name in BUILT_IN_TASKS else self._own(name)
        if task.kind != "binary" and (self.positive or self.negative):
            raise ValueError("positive and negative are for binary tasks")
        if self.negative and not self.positive:
            raise ValueError("negative needs positive beside it")
        return task

    def _built_in(self, name: str) -> Task:
        fixed = [key for key in ("kind", "unit", "label", "low", "high") if getattr(self, key) is not None]
        if fixed:
            raise ValueError(f"{name} is built in and has its own {', '.join(fixed)}; leave out, or take another name")
        return BUILT_IN_TASKS[name]

    def _own(self, name: str) -> Task:
        if self.kind is None:
            raise ValueError(f"{name} is not built in ({', '.join(BUILT_IN_TASKS)}), so it needs kind")
        label = self.label or name
        if self.kind == "binary":
            if self.unit is not None or self.low is not None or self.high is not None:
                raise ValueError("a binary task has no unit, low or high of its own")
            return Task(name=name, kind="binary", unit="probability", label=label, low=0.0, high=1.0)
        if self.unit is None:
            raise ValueError("a regression task needs its unit")
        return Task(name=name, kind="regression", unit=self.unit, label=label, low=self.low, high=self.high)


class CohortSpec(Settings):
    """`cohort.toml`. Paths are relative to the file."""

    name: str = Field(min_length=1)
    table: str
    images: str = "."
    field_of_view: bool = True
    """False when the photographs should be kept whole."""
    columns: Columns = Columns()
    tasks: dict[str, TaskColumn] = Field(min_length=1)


@dataclass(frozen=True)
class Finding:
    """Something noticed in a cohort that did not stop the run. Nothing in it identifies a person."""

    kind: str
    row: int
    """As error messages count rows; 0 when it is about the whole column or table."""
    column: str
    detail: str
    table: str = ""
    """File name of the table."""


@dataclass(frozen=True, eq=False)
class Cohort:
    """The photographs of a cohort with patients and labels, in the order of its table."""

    name: str
    source: Path
    tasks: TaskTable
    reachable_skill: dict[str, float]
    field_of_view: bool
    images_folder: Location
    images: tuple[str, ...]
    patients: tuple[str, ...]
    eyes: tuple[str, ...]
    rows: NDArray[np.int64]
    """(N,) the table's row numbers, as in error messages."""
    labels_NT: NDArray[np.float64]
    """In the tasks' units; NaN where absent."""
    frames: NDArray[np.int64]
    """(N,) frame of a multi-frame DICOM file; 0 in files of one picture."""
    visits: tuple[str, ...]
    """ISO date or text; empty where unknown."""
    sites: tuple[str, ...]
    cameras: tuple[str, ...]
    clahe: bool = False
    mirror_left: bool = False
    findings: tuple[Finding, ...] = ()


def read_cohort(path: Path) -> Cohort:
    """The cohort that a file describes. Raises CohortError in one line naming file, column and row."""
    spec = _read_spec(path)
    tasks = TaskTable.of(_tasks_of(spec, path))
    table = read_table(path.parent / spec.table)
    images_folder = path.parent / spec.images
    if not images_folder.is_dir():
        raise CohortError(f"{path}: images should be a folder, {images_folder} is not")
    _check_columns(spec, table, path)
    if not len(table.rows):
        raise CohortError(f"{table.path}: no usable row, the table is empty")
    unknown = ("",) * len(table.rows)
    columns = [_labels(table, spec.tasks[task.name], task) for task in tasks]
    return Cohort(
        name=spec.name,
        source=path,
        tasks=tasks,
        reachable_skill=_reachable_skill(spec),
        field_of_view=spec.field_of_view,
        images_folder=resolve(images_folder),
        images=_images(table, spec.columns.image),
        patients=table.ids(spec.columns.patient),
        eyes=table.texts(spec.columns.eye) if spec.columns.eye else ("",) * len(table.rows),
        rows=table.rows,
        labels_NT=np.stack(columns, axis=1),
        frames=np.zeros(len(table.rows), np.int64),
        visits=unknown,
        sites=unknown,
        cameras=unknown,
    )


def _read_spec(path: Path) -> CohortSpec:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CohortError(f"{path}: no such cohort file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise CohortError(f"{path}: should be a TOML file: {problem}") from None
    return CohortSpec.parse(values, str(path), CohortError)


def _tasks_of(spec: CohortSpec, path: Path) -> list[Task]:
    tasks = []
    for name, entry in spec.tasks.items():
        try:
            tasks.append(entry.task(name))
        except ValidationError as problem:
            raise CohortError(f"{path}, [tasks.{name}]: {describe(problem)}") from None
        except ValueError as problem:
            raise CohortError(f"{path}, [tasks.{name}]: {problem}") from None
    return tasks


def _reachable_skill(spec: CohortSpec) -> dict[str, float]:
    return {name: task.reachable_skill for name, task in spec.tasks.items() if task.reachable_skill is not None}


def _check_columns(spec: CohortSpec, table: CohortTable, path: Path) -> None:
    wanted = {f"columns.{key}": column for key, column in spec.columns if column is not None}
    wanted |= {f"tasks.{name}.column": entry.column for name, entry in spec.tasks.items()}
    for key, column in wanted.items():
        if column not in table.frame.columns:
            known = ", ".join(str(name) for name in table.frame.columns)
            raise CohortError(f"{path}: {key} should be a column of {table.path} ({known}), was {column!r}")


def _labels(table: CohortTable, entry: TaskColumn, task: Task) -> NDArray[np.float64]:
    if task.kind == "regression":
        return table.numbers(entry.column, task)
    if entry.positive is not None:
        return table.codes(entry.column, entry.positive, entry.negative)
    usual = (_MALE, _FEMALE) if task.name == "sex" else (_POSITIVE, _NEGATIVE)
    return table.codes(entry.column, *usual)


def _images(table: CohortTable, column: str) -> tuple[str, ...]:
    images = table.ids(column)
    _refuse_twice(table, column, [posixpath.normpath(image) for image in images])
    return images


def _refuse_twice(table: CohortTable, column: str, images: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    for index, image in enumerate(images):
        if image in seen:
            raise CohortError(f"{table.place(column, index)}: {image!r} is in row {table.rows[seen[image]]} already")
        seen[image] = index
