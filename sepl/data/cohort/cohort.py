"""A cohort as its owner describes it: `cohort.toml`, tables, a folder of photographs. docs/cohorts.md shows how.

Everything a stranger can get wrong is checked here, once, before a photograph is opened.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sepl.data.cohort.findings import Finding, Findings
from sepl.data.cohort.headers import Headers, expand_frames, fill_from_headers, fill_labels, read_headers
from sepl.data.cohort.joins import join_rows, key_table
from sepl.data.cohort.labels import read_labels
from sepl.data.cohort.listing import (
    Listing,
    fill_role,
    find_files,
    leave_out_incomplete,
    list_folder,
    list_table,
    read_pattern,
    role_texts,
)
from sepl.data.cohort.sepl_release import with_release_tasks
from sepl.data.cohort.settings import CohortSpec, TaskColumn, read_cohort_file
from sepl.data.cohort.sources import SourceTable, read_tables
from sepl.data.cohort.tasks import reachable_skill, rules_of, task_of, tasks_of
from sepl.data.imaging.quality import QualityThresholds
from sepl.data.patients.ids import check_not_rounded, describe_near
from sepl.data.patients.splits import SplitOptions
from sepl.errors import CohortError
from sepl.storage import Location, resolve
from sepl.tasks import TaskTable

__all__ = ["Cohort", "Finding", "read_cohort"]


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
    known_patterns: tuple[tuple[str, ...], ...] | None = None
    """Sets of tasks that will be known beside the photographs; None: nobody said."""
    findings: tuple[Finding, ...] = ()
    """What was noticed and did not stop the run."""
    id_space: str | None = None
    """Cohorts with the same one mean the same person by the same id."""
    parts: tuple[str, ...] = ()
    """(N,) of which cohort each photograph is, where several were joined."""
    split_keys: tuple[str, ...] = ()
    """(N,) the ids as the joined cohorts have them, which decide who is tested; empty: `patients` do."""

    def row_name(self, index: int) -> str:
        """Where a photograph stands, for messages."""
        return f"row {self.rows[index]}" + (f" of {self.parts[index]}" if self.parts else "")


def read_cohort(path: Path) -> Cohort:
    """The cohort that a file describes. Raises CohortError in one line naming file, column and row."""
    return _Reading(path).read()


@dataclass(frozen=True, eq=False)
class _Joined:
    """A table with the row of it that belongs to each photograph (N), −1 where none does."""

    source: SourceTable
    rows: NDArray[np.int64]
    contested: Mapping[str, NDArray[np.bool_]]


class _Reading:
    """One reading of a cohort file: what the steps share."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._spec = read_cohort_file(path)
        self._findings = Findings()
        self._folder = _images_folder(self._spec, path)
        if self._spec.layout == "sepl-release":
            self._spec = with_release_tasks(self._spec)
        self._rules = rules_of(self._spec, path)
        self._tasks = tasks_of(self._spec, self._rules, path)

    def read(self) -> Cohort:
        tables = read_tables(self._spec, self._path, self._folder, self._findings)
        listing, headers = self._list_photographs(tables)
        joined = self._join(tables, listing)
        self._note_near_ids(listing, joined)
        for each in joined:
            listing = _fill_sites(listing, each, self._findings)
        labels = self._labels(joined, listing, headers)
        spec, texts = self._spec, {role: _texts(listing.role(role)) for role in ("patient", "eye", "visit")}
        return Cohort(
            name=spec.name,
            source=self._path,
            tasks=self._tasks,
            reachable_skill=reachable_skill(spec),
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
            known_patterns=_known_patterns(spec, self._tasks, self._path),
            findings=self._findings.all(),
            id_space=spec.ids.space,
        )

    def _list_photographs(self, tables: Sequence[SourceTable]) -> tuple[Listing, Headers]:
        own = next((each for each in tables if each.entry.per == "photograph"), None)
        if own is not None:
            listing = find_files(list_table(own.table, own.entry, self._findings), self._folder)
        else:
            listing = list_folder(self._folder, self._findings)
        if self._spec.photographs.pattern is not None:
            listing = read_pattern(listing, self._spec.photographs.pattern, self._findings)
        headers = read_headers(listing, self._folder)
        listing, headers = self._with_ids(listing, headers)
        listing = fill_from_headers(listing, headers, self._findings)
        listing, headers = expand_frames(listing, headers)
        kept = leave_out_incomplete(listing, self._findings, needs_eye=self._spec.photographs.mirror_left)
        listing, headers = listing.take(kept), headers.take(kept)
        if not len(listing):
            raise CohortError(f"{listing.place}: no usable row, none names a photograph and its patient")
        return listing, headers

    def _with_ids(self, listing: Listing, headers: Headers) -> tuple[Listing, Headers]:
        """Ids of paths and headers under the rules of the tables'."""
        for texts in (listing.patients, headers.patients):
            check_not_rounded(texts, f"{listing.place}, patient", listing.rows)
        fold = self._spec.ids.fold_all
        return (
            listing.with_role("patient", fold(listing.patients)),
            replace(headers, patients=fold(headers.patients)),
        )

    def _note_near_ids(self, listing: Listing, joined: Sequence[_Joined]) -> None:
        """Of photographs and tables together: an id may be spelled one way here and another there."""
        ids = [listing.patients, *(each.source.patients() for each in joined)]
        if detail := describe_near(str(text) for texts in ids for text in texts):
            column = listing.columns.get("patient", "patient")
            self._findings.note_column("ids nearly equal", column, detail, listing.table)

    def _join(self, tables: Sequence[SourceTable], listing: Listing) -> list[_Joined]:
        joined = []
        for source in tables:
            if source.entry.per == "photograph":
                joined.append(_Joined(source, listing.positions, {}))
                continue
            keyed = key_table(source.table, source.entry, self._findings)
            rows = join_rows(listing, keyed, self._findings)
            joined.append(_Joined(SourceTable(keyed.table, source.entry), rows, keyed.contested))
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
        one = next(each for each in joined if each.source.holds(entry))
        table, options = one.source.table, one.source.entry
        missing = (*self._spec.missing, *options.missing, *entry.missing)
        task = task_of(name, entry, self._path, "inputs" if name in self._spec.inputs else "tasks")
        labels_R = read_labels(table, entry, task, missing=missing, decimal=options.decimal, findings=self._findings)
        if entry.column in one.contested:
            labels_R[one.contested[entry.column]] = np.nan
        return np.where(one.rows >= 0, labels_R[one.rows], np.nan)


def _known_patterns(spec: CohortSpec, tasks: TaskTable, path: Path) -> tuple[tuple[str, ...], ...] | None:
    for name in (name for names in spec.known.patterns or () for name in names):
        if name not in tasks.names:
            raise CohortError(f"{path}, [known]: patterns should be of {', '.join(tasks.names)}; was of {name!r}")
        if tasks[name].is_graded:
            raise CohortError(f"{path}, [known]: patterns should have no levels, {name} is {tasks[name].kind}")
    return spec.known.patterns


def _images_folder(spec: CohortSpec, path: Path) -> Location:
    folder = resolve(spec.images if "://" in spec.images else path.parent / Path(spec.images).expanduser())
    if not folder.is_folder():
        raise CohortError(f"{path}: images should be a folder, {folder.uri} is not")
    return folder


def _fill_sites(listing: Listing, joined: _Joined, findings: Findings) -> Listing:
    """The site from a table of visits or patients."""
    table, entry = joined.source.table, joined.source.entry
    if entry.site is None or entry.per == "photograph":
        return listing
    texts = role_texts(table, "site", entry.site, entry, findings)
    return fill_role(listing, "site", np.where(joined.rows >= 0, texts[joined.rows], ""))


def _texts(values: NDArray[np.object_]) -> tuple[str, ...]:
    """Equal texts are one object: two million photographs have few sites."""
    same: dict[str, str] = {}
    return tuple(same.setdefault(str(value), str(value)) for value in values)
