"""The tables of a cohort file, read, with every column that the file names found in exactly one of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sepl.data.cohort.findings import Findings
from sepl.data.cohort.sepl_release import ENTRY as RELEASE_ENTRY
from sepl.data.cohort.sepl_release import read_release
from sepl.data.cohort.settings import CohortSpec, TableEntry, TaskColumn
from sepl.data.patients.ids import IdOptions, check_not_rounded
from sepl.data.tables.table import CohortTable, read_table
from sepl.data.tables.values import shared_texts
from sepl.errors import CohortError
from sepl.storage import Location


@dataclass(frozen=True)
class SourceTable:
    """A table and what the cohort file says of it."""

    table: CohortTable
    entry: TableEntry

    def holds(self, column: TaskColumn) -> bool:
        """Whether a task's column is this table's."""
        return self.may_hold(column) and column.column in self.table.columns

    def patients(self) -> NDArray[np.object_]:
        """The patient of each row, empty where absent; none where no column tells."""
        column = self.entry.roles().get("patient")
        return shared_texts(self.table.texts(column)) if column is not None else np.empty(0, object)

    def may_hold(self, column: TaskColumn) -> bool:
        return column.table is None or column.table == self.entry.title


def read_tables(spec: CohortSpec, path: Path, folder: Location, findings: Findings) -> list[SourceTable]:
    """The tables of the cohort file at `path`, with the columns that it names. Raises CohortError."""
    wanted = {str(entry.column) for entry in (spec.tasks | spec.inputs).values()}
    tables = _release_table(spec, path, folder, findings) if spec.layout == "sepl-release" else _listed(spec, path)
    for source in tables:
        table, roles = source.table, source.entry.roles()
        table.check_header({*roles.values(), *wanted})
        where = "columns" if spec.table is not None else f"tables, {source.entry.title}"
        for role, column in roles.items():
            table.check(column, f"{path}: {where}.{role}")
        if not len(table.rows):
            raise CohortError(f"{table.path}: no usable row, the table is empty")
        _note_guessed_encoding(source, findings)
    for section, entries in (("tasks", spec.tasks), ("inputs", spec.inputs)):
        for name, entry in entries.items():
            if entry.column is not None:
                _check_column(f"{path}: {section}.{name}", entry, tables)
    tables = [replace(each, table=each.table.select({*each.entry.roles().values(), *wanted})) for each in tables]
    return [_with_ids(each, spec.ids) for each in tables]


def _listed(spec: CohortSpec, path: Path) -> list[SourceTable]:
    return [SourceTable(read_table(path.parent / each.path, each.reading), each) for each in spec.table_entries()]


def _release_table(spec: CohortSpec, path: Path, folder: Location, findings: Findings) -> list[SourceTable]:
    return [SourceTable(read_release(path.parent / str(spec.table), folder, findings), RELEASE_ENTRY)]


def _with_ids(source: SourceTable, options: IdOptions) -> SourceTable:
    """The table with its patients' ids as the options bring them together. Raises CohortError for rounded numbers."""
    table, column = source.table, source.entry.roles().get("patient")
    if column is None:
        return source
    texts = table.texts(column).to_numpy(object)
    check_not_rounded(texts, f"{table.path}, column {column!r}", table.rows)
    folded = options.fold_all(texts)
    if folded is texts:
        return source
    return replace(source, table=replace(table, frame=table.frame.assign(**{column: folded})))


def _note_guessed_encoding(source: SourceTable, findings: Findings) -> None:
    encoding = source.table.encoding
    if source.entry.encoding is not None or encoding in ("utf-8", "utf-8-sig"):
        return
    detail = f"read as {encoding}, which was guessed; say encoding if it is another"
    findings.note_column("encoding", "", detail, source.table.name)


def _check_column(where: str, column: TaskColumn, tables: Sequence[SourceTable]) -> None:
    """CohortError unless the column of a task stands in exactly one table."""
    if not tables:
        raise CohortError(f"{where}.column needs a table, the cohort file names none")
    candidates = [source for source in tables if source.may_hold(column)]
    if not candidates:
        titles = ", ".join(source.entry.title for source in tables)
        raise CohortError(f"{where}.table should be one of {titles}, was {column.table!r}")
    holding = [source for source in candidates if source.holds(column)]
    if len(holding) > 1:
        titles = ", ".join(source.entry.title for source in holding)
        raise CohortError(f"{where}.column {column.column!r} stands in {titles}; say table")
    if len(candidates) > 1 and not holding:
        titles = "; ".join(f"{source.entry.title}: {', '.join(source.table.columns)}" for source in candidates)
        raise CohortError(f"{where}.column should be a column of a table ({titles}), was {column.column!r}")
    (holding or candidates)[0].table.check(str(column.column), f"{where}.column")
