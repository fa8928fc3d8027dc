"""Columns of a table of photographs that tell what is known of a patient, read as a cohort's labels are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sepl.data.cohort.findings import Findings
from sepl.data.cohort.labels import read_labels
from sepl.data.cohort.settings import TaskColumn
from sepl.data.tables.table import CohortTable
from sepl.data.tables.units import quantity_of
from sepl.errors import ConfigError
from sepl.tasks import TaskTable

_REFUSED = frozenset({"not a number", "implausible value", "unknown value"})


@dataclass(frozen=True)
class KnownColumns:
    """Which column tells which task of a bundle, and in which unit."""

    table: TaskTable
    entries: tuple[tuple[str, TaskColumn], ...]

    @property
    def tasks(self) -> tuple[str, ...]:
        """In the order of `read`'s columns."""
        return tuple(name for name, _ in self.entries)

    @property
    def columns(self) -> tuple[str, ...]:
        """Of the table."""
        return tuple(str(entry.column) for _, entry in self.entries)

    def read(self, table: CohortTable) -> NDArray[np.float64]:
        """Values (R, K) in the tasks' units: NaN where a cell is absent, infinite where it holds no plausible value.

        CohortError for a column that is wrong as a whole, such as one in another unit.
        """
        values_RK = np.empty((len(table.rows), len(self.entries)))
        for index, (name, entry) in enumerate(self.entries):
            findings = Findings()
            values_RK[:, index] = read_labels(table, entry, self.table[name], findings=findings)
            refused = [finding.row for finding in findings.all() if finding.kind in _REFUSED]
            values_RK[np.isin(table.rows, refused), index] = np.inf
        return values_RK


def parse_known_columns(texts: Sequence[str], tasks: TaskTable) -> KnownColumns:
    """Of texts such as "age=Alter", "age=Alter:months": TASK=COLUMN, with the column's unit where it is another, and
    of sex with the code that means male where the column does not tell.

    Raises ConfigError for another form, a task that the table does not have or that comes twice, and a unit that is
    none of the task's.
    """
    entries: dict[str, TaskColumn] = {}
    for text in texts:
        name, equals, column = (part.strip() for part in text.partition("="))
        if not (name and equals and column):
            raise ConfigError(f"known column should be TASK=COLUMN or TASK=COLUMN:UNIT, was {text!r}")
        if name not in tasks.names:
            raise ConfigError(f"known column should be of {', '.join(tasks.names)}; was of {name!r}")
        if tasks[name].is_graded:
            raise ConfigError(f"known column should be of a task that is a number, {name} is {tasks[name].kind}")
        if name in entries:
            raise ConfigError(f"known column of {name} should be one, was {entries[name].column!r} and {column!r}")
        entries[name] = _entry(name, column)
    return KnownColumns(tasks, tuple(entries.items()))


def _entry(name: str, column: str) -> TaskColumn:
    quantity = quantity_of(name)
    before, colon, unit = column.rpartition(":")
    if name == "sex" and colon:
        return TaskColumn(column=before, male=(unit,))
    if quantity is None or not colon:
        return TaskColumn(column=column)
    try:
        quantity.unit(unit)
    except ValueError as problem:
        raise ConfigError(f"known column of {name}: {problem}") from None
    return TaskColumn(column=before, unit=unit)
