"""Columns of a table of photographs that tell what is known of a patient, read as a cohort's labels are."""

from collections.abc import Collection, Mapping, Sequence
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
    said: tuple[tuple[str, str], ...]
    """By task: COLUMN, COLUMN:UNIT, or of sex COLUMN:CODE with what means male. A column whose own name is all of it is
    meant wherever there is one."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """In the order of `read`'s columns."""
        return tuple(name for name, _ in self.said)

    @property
    def columns(self) -> tuple[str, ...]:
        """Of the table, all that may be meant."""
        return tuple(
            dict.fromkeys(column for _, text in self.said for column in (text, text.rpartition(":")[0] or text))
        )

    def columns_among(self, names: Collection[str]) -> dict[str, str]:
        """By task, the column that is meant where a table has columns of these names; it need not be one of them.

        Raises ConfigError for a unit that is none of the task's.
        """
        return {name: str(_entry(name, text, names).column) for name, text in self.said}

    def check(self, table: CohortTable) -> None:
        """Raises CohortError for a column that the table does not have, ConfigError as `columns_among`."""
        for name, column in self.columns_among(table.columns).items():
            table.check(column, f"{table.path}: known {name} column")

    def read(self, table: CohortTable) -> NDArray[np.float64]:
        """Values (R, K) in the tasks' units: NaN where a cell is absent, infinite where it holds no plausible value.

        CohortError for a column that is wrong as a whole, such as one in another unit.
        """
        values_RK = np.empty((len(table.rows), len(self.said)))
        for index, (name, text) in enumerate(self.said):
            findings = Findings()
            entry = _entry(name, text, table.columns)
            values_RK[:, index] = read_labels(table, entry, self.table[name], findings=findings)
            refused = [finding.row for finding in findings.all() if finding.kind in _REFUSED]
            values_RK[np.isin(table.rows, refused), index] = np.inf
        return values_RK


def parse_known_columns(texts: Sequence[str], tasks: TaskTable) -> KnownColumns:
    """Of texts such as "age=Alter", "age=Alter:months": TASK=COLUMN, with the column's unit where it is another, and
    of sex with the code that means male where the column does not tell.

    Raises ConfigError for another form, and a task that the table does not have or that comes twice.
    """
    columns: dict[str, str] = {}
    for text in texts:
        name, equals, column = (part.strip() for part in text.partition("="))
        if not (name and equals and column):
            raise ConfigError(f"known column should be TASK=COLUMN or TASK=COLUMN:UNIT, was {text!r}")
        if name in columns:
            raise ConfigError(f"known column of {name} should be one, was {columns[name]!r} and {column!r}")
        columns[name] = column
    return name_known_columns(columns, tasks)


def name_known_columns(columns: Mapping[str, str], tasks: TaskTable) -> KnownColumns:
    """As `parse_known_columns`, of columns by task. Raises ConfigError for a task that the table does not have."""
    for name, column in columns.items():
        if name not in tasks.names:
            raise ConfigError(f"known column should be of {', '.join(tasks.names)}; was of {name!r}")
        if tasks[name].is_graded:
            raise ConfigError(f"known column should be of a task that is a number, {name} is {tasks[name].kind}")
        if not isinstance(column, str) or not column:
            raise ConfigError(f"known column of {name} should be a column's name, was {column!r}")
    return KnownColumns(tasks, tuple(columns.items()))


def _entry(name: str, text: str, names: Collection[str]) -> TaskColumn:
    quantity = quantity_of(name)
    column, colon, unit = text.rpartition(":")
    if text in names or not colon or (quantity is None and name != "sex"):
        return TaskColumn(column=text)
    if quantity is None:
        return TaskColumn(column=column, male=(unit,))
    try:
        quantity.unit(unit)
    except ValueError as problem:
        raise ConfigError(f"known column of {name}: {problem}") from None
    return TaskColumn(column=column, unit=unit)
