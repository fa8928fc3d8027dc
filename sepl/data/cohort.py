"""A cohort as its owner describes it: `cohort.toml`, tables, a folder of photographs. docs/cohorts.md shows how.

Everything a stranger can get wrong is checked here, once, before a photograph is opened.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from sepl.config import describe
from sepl.data.cohort_file import LABEL_COLUMNS, CohortSpec, TableEntry, TaskColumn, read_cohort_file
from sepl.data.derived import Rule, parse_rule
from sepl.data.findings import Finding
from sepl.data.headers import Headers, expand_frames, fill_from_headers, fill_labels, read_headers
from sepl.data.joins import join_rows, key_table
from sepl.data.labels import read_labels
from sepl.data.listing import (
    Listing,
    fill_role,
    leave_out_incomplete,
    list_folder,
    list_table,
    read_pattern,
    role_texts,
)
from sepl.data.quality import QualityThresholds
from sepl.data.sepl_release import ENTRY as RELEASE_ENTRY
from sepl.data.sepl_release import read_release, release_tasks
from sepl.data.splits import SplitOptions
from sepl.data.table import CohortTable, read_table
from sepl.errors import CohortError
from sepl.storage import Location, resolve
from sepl.tasks import Task, TaskTable

__all__ = ["LABEL_COLUMNS", "Cohort", "Finding", "read_cohort"]


@dataclass(frozen=True, eq=False)
class Cohort:
    """The photographs of a cohort (N) with patients and labels, in the order of its table or folder.

    Texts are empty where unknown.
    """

    name: str
    source: Path
    tasks: TaskTable
    reachable_skill: dict[str, float]
    field_of_view: bool
    images_folder: Location
    images: tuple[str, ...]
    """Paths below the folder."""
    patients: tuple[str, ...]
    """As the hospital names them: identifying."""
    eyes: tuple[str, ...]
    """"left", "right" or empty."""
    rows: NDArray[np.int64]
    """(N,) the table's row numbers, as in error messages; numbers in the sorted folder where no table lists it."""
    labels_NT: NDArray[np.float64]
    """In the tasks' units; NaN where absent."""
    frames: NDArray[np.int64]
    """(N,) frame of a multi-frame DICOM file; 0 in files of one picture."""
    visits: tuple[str, ...]
    """ISO date or text."""
    sites: tuple[str, ...]
    cameras: tuple[str, ...]
    clahe: bool = False
    mirror_left: bool = False
    quality: QualityThresholds = field(default_factory=QualityThresholds)
    split: SplitOptions = field(default_factory=SplitOptions)
    findings: tuple[Finding, ...] = ()
    """What was noticed and did not stop the run."""


def read_cohort(path: Path) -> Cohort:
    """The cohort that a file describes. Raises CohortError in one line naming file, column and row."""
    return _Reading(path).read()


@dataclass(frozen=True, eq=False)
class _Joined:
    """A table with the row of it that belongs to each photograph (N), −1 where none does."""

    table: CohortTable
    entry: TableEntry
    rows: NDArray[np.int64]
    contested: Mapping[str, NDArray[np.bool_]]


class _Reading:
    """One reading of a cohort file: what the steps share."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._spec = read_cohort_file(path)
        self._findings: list[Finding] = []
        self._folder = _images_folder(self._spec, path)
        if self._spec.layout == "sepl-release" and not self._spec.tasks:
            self._spec = self._spec.model_copy(update={"tasks": release_tasks()})
        self._rules = _rules_of(self._spec, path)
        self._tasks = _tasks_of(self._spec, self._rules, path)

    def read(self) -> Cohort:
        tables = self._read_tables()
        listing, headers = self._list_photographs(tables)
        joined = self._join(tables, listing)
        for each in joined:
            listing = _fill_places(listing, each, self._findings)
        labels = self._labels(joined, listing, headers)
        spec, texts = self._spec, {role: _texts(listing.role(role)) for role in ("patient", "eye", "visit")}
        return Cohort(
            name=spec.name,
            source=self._path,
            tasks=self._tasks,
            reachable_skill=_reachable_skill(spec),
            field_of_view=spec.field_of_view and spec.photographs.field_of_view,
            images_folder=self._folder,
            images=_texts(listing.images),
            patients=texts["patient"],
            eyes=texts["eye"],
            rows=listing.rows,
            labels_NT=np.stack([labels[name] for name in self._tasks.names], axis=1),
            frames=listing.frames,
            visits=texts["visit"],
            sites=_texts(listing.sites),
            cameras=_texts(listing.cameras),
            clahe=spec.photographs.clahe,
            mirror_left=spec.photographs.mirror_left,
            quality=spec.quality,
            split=spec.split,
            findings=tuple(self._findings),
        )

    def _read_tables(self) -> list[tuple[CohortTable, TableEntry]]:
        if self._spec.layout == "sepl-release":
            path = self._path.parent / str(self._spec.table)
            tables = [(read_release(path, self._folder, self._findings), RELEASE_ENTRY)]
        else:
            tables = [
                (read_table(self._path.parent / entry.path, entry.reading), entry)
                for entry in self._spec.table_entries()
            ]
        wanted = {str(entry.column) for entry in (self._spec.tasks | self._spec.inputs).values()}
        for table, entry in tables:
            table.check_header({*entry.roles().values(), *wanted})
            where = "columns" if self._spec.table is not None else f"tables, {entry.path}"
            for role, column in entry.roles().items():
                table.check(column, f"{self._path}: {where}.{role}")
            if not len(table.rows):
                raise CohortError(f"{table.path}: no usable row, the table is empty")
            if entry.encoding is None and table.encoding not in ("utf-8", "utf-8-sig"):
                detail = f"read as {table.encoding}, which was guessed; say encoding if it is another"
                self._findings.append(Finding("encoding", 0, "", detail, table.name))
        self._check_columns([table for table, _ in tables])
        return [(table.select({*entry.roles().values(), *wanted}), entry) for table, entry in tables]

    def _list_photographs(self, tables: Sequence[tuple[CohortTable, TableEntry]]) -> tuple[Listing, Headers]:
        own = next(((table, entry) for table, entry in tables if entry.per == "photograph"), None)
        listing = list_table(*own, self._findings) if own else list_folder(self._folder)
        if self._spec.photographs.pattern is not None:
            listing = read_pattern(listing, self._spec.photographs.pattern, self._findings)
        headers = read_headers(listing, self._folder)
        listing = fill_from_headers(listing, headers, self._findings)
        listing, headers = expand_frames(listing, headers)
        kept = leave_out_incomplete(listing, self._findings)
        listing, headers = listing.take(kept), headers.take(kept)
        if not len(listing):
            raise CohortError(f"{listing.place}: no usable row, none names a photograph and its patient")
        return listing, headers

    def _join(self, tables: Sequence[tuple[CohortTable, TableEntry]], listing: Listing) -> list[_Joined]:
        joined = []
        for table, entry in tables:
            if entry.per == "photograph":
                joined.append(_Joined(table, entry, listing.positions, {}))
                continue
            keyed = key_table(table, entry, self._findings)
            rows = join_rows(listing, keyed, self._findings)
            joined.append(_Joined(keyed.table, entry, rows, keyed.contested))
        return joined

    def _labels(self, joined: Sequence[_Joined], listing: Listing, headers: Headers) -> dict[str, NDArray[np.float64]]:
        """By task and input, in the order of the photographs; rules last."""
        labels: dict[str, NDArray[np.float64]] = {}
        for name, entry in (self._spec.tasks | self._spec.inputs).items():
            if entry.when is None:
                labels[name] = self._label_column(name, entry, joined, len(listing))
                if name in ("age", "sex"):
                    labels[name] = fill_labels(
                        name, labels[name], headers, listing, (*self._spec.missing, *entry.missing), self._findings
                    )
        for name, rule in self._rules.items():  # in an order in which inputs come first
            labels[name] = rule.evaluate(labels)
        return labels

    def _label_column(
        self, name: str, entry: TaskColumn, joined: Sequence[_Joined], num_photographs: int
    ) -> NDArray[np.float64]:
        if entry.column is None:
            return np.full(num_photographs, np.nan)
        one = next(each for each in joined if self._holds(each.table, entry))
        missing = (*self._spec.missing, *one.entry.missing, *entry.missing)
        task = _task_of(name, entry, self._path, "inputs" if name in self._spec.inputs else "tasks")
        labels_R = read_labels(
            one.table, entry, task, missing=missing, decimal=one.entry.decimal, findings=self._findings
        )
        if entry.column in one.contested:
            labels_R[one.contested[entry.column]] = np.nan
        return np.where(one.rows >= 0, labels_R[one.rows], np.nan)

    def _check_columns(self, tables: Sequence[CohortTable]) -> None:
        """Each task's column stands in exactly one table."""
        for section, entries in (("tasks", self._spec.tasks), ("inputs", self._spec.inputs)):
            for name, entry in entries.items():
                if entry.column is not None:
                    self._check_column(f"{self._path}: {section}.{name}", entry, tables)

    def _check_column(self, where: str, entry: TaskColumn, tables: Sequence[CohortTable]) -> None:
        paths = [self._path.parent / each.path for each in self._spec.table_entries()]
        if entry.table is not None and self._path.parent / entry.table not in paths:
            known = ", ".join(each.path for each in self._spec.table_entries())
            raise CohortError(f"{where}.table should be one of {known}, was {entry.table!r}")
        candidates = [table for table in tables if self._is_asked(table, entry)]
        if not candidates:
            raise CohortError(f"{where}.column needs a table, the cohort file names none")
        holding = [table for table in candidates if str(entry.column) in table.columns]
        if len(holding) > 1:
            known = ", ".join(table.name for table in holding)
            raise CohortError(f"{where}.column {entry.column!r} stands in {known}; say table")
        if len(candidates) > 1 and not holding:
            known = "; ".join(f"{table.name}: {', '.join(table.columns)}" for table in candidates)
            raise CohortError(f"{where}.column should be a column of a table ({known}), was {entry.column!r}")
        (holding or candidates)[0].check(str(entry.column), f"{where}.column")

    def _is_asked(self, table: CohortTable, entry: TaskColumn) -> bool:
        return entry.table is None or self._path.parent / entry.table == table.path

    def _holds(self, table: CohortTable, entry: TaskColumn) -> bool:
        return self._is_asked(table, entry) and entry.column in table.columns


def _images_folder(spec: CohortSpec, path: Path) -> Location:
    folder = resolve(spec.images if "://" in spec.images else path.parent / Path(spec.images).expanduser())
    if not folder.is_folder():
        raise CohortError(f"{path}: images should be a folder, {folder.uri} is not")
    return folder


def _rules_of(spec: CohortSpec, path: Path) -> dict[str, Rule]:
    """The tasks by threshold, each after those that it compares. Raises CohortError for an unknown name or a circle."""
    entries = spec.tasks | spec.inputs
    texts = {name: entry.when for name, entry in entries.items() if entry.when is not None}
    rules: dict[str, Rule] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        where = f"{path}, [tasks.{name}]"
        if name in above:
            raise CohortError(f"{where}: when should not lead back to itself, did by {' → '.join((*above, name))}")
        try:
            rule = parse_rule(texts[name])
        except ValueError as problem:
            raise CohortError(f"{where}: {problem}") from None
        unknown = [other for other in rule.names if other not in entries]
        if unknown:
            known = ", ".join(other for other in entries if other != name)
            raise CohortError(f"{where}: when should compare {known}, was {unknown[0]!r}")
        for other in rule.names:
            if other in texts and other not in rules:
                visit(other, (*above, name))
        rules[name] = rule

    for name in texts:
        if name not in rules:
            visit(name, ())
    return rules


def _tasks_of(spec: CohortSpec, rules: Mapping[str, Rule], path: Path) -> TaskTable:
    for name, entry in spec.inputs.items():
        _task_of(name, entry, path, "inputs")
    tasks = [_task_of(name, entry, path, "tasks") for name, entry in spec.tasks.items()]
    sources: dict[str, tuple[str, ...]] = {}
    for name, rule in rules.items():
        found = [source for other in rule.names for source in (other, *sources.get(other, ()))]
        sources[name] = tuple(dict.fromkeys(found))
    return TaskTable.of(
        task.model_copy(update={"derived_from": tuple(n for n in sources.get(task.name, ()) if n in spec.tasks)})
        for task in tasks
    )


def _task_of(name: str, entry: TaskColumn, path: Path, section: str) -> Task:
    try:
        return entry.task(name)
    except ValidationError as problem:
        raise CohortError(f"{path}, [{section}.{name}]: {describe(problem)}") from None
    except ValueError as problem:
        raise CohortError(f"{path}, [{section}.{name}]: {problem}") from None


def _fill_places(listing: Listing, joined: _Joined, findings: list[Finding]) -> Listing:
    """Site (and in a table of eyes nothing else) from a table of visits or patients."""
    column = joined.entry.site
    if column is None or joined.entry.per == "photograph":
        return listing
    texts = role_texts(joined.table, "site", column, joined.entry, findings)
    return fill_role(listing, "site", np.where(joined.rows >= 0, texts[joined.rows], ""))


def _reachable_skill(spec: CohortSpec) -> dict[str, float]:
    return {name: task.reachable_skill for name, task in spec.tasks.items() if task.reachable_skill is not None}


def _texts(values: NDArray[np.object_]) -> tuple[str, ...]:
    """Equal texts are one object: two million photographs have few sites."""
    same: dict[str, str] = {}
    return tuple(same.setdefault(str(value), str(value)) for value in values)
