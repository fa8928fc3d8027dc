"""What was noticed in a cohort's tables and headers that did not stop the run.

A finding says where (table, column, row), never who: no id, no name, no file name, no cell's text.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_WRONG = 0.2
"""Share of a column that may be wrong before the column is: one slip is a finding, a fifth is a mistake in the file."""
FEW = 3
"""Fewer wrong cells are slips whatever their share."""


@dataclass(frozen=True)
class Finding:
    """Something noticed in a cohort that did not stop the run. Nothing in it identifies a person."""

    kind: str
    row: int
    """As error messages count rows; 0 when it is about the whole column or table."""
    column: str
    detail: str
    table: str = ""
    """File name of the table; empty for a list made from the image folder."""


def is_too_many(wrong: NDArray[np.bool_], num_filled: int) -> bool:
    """Whether so many cells are wrong that the column is."""
    num_wrong = int(wrong.sum())
    return num_wrong >= FEW and num_wrong > MOST_WRONG * num_filled


class Findings:
    """Collects what is noticed, in the order in which it is."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []

    def note(self, kind: str, row: int, column: str, detail: str, table: str = "") -> None:
        """A finding about one row."""
        self.add(Finding(kind, row, column, detail, table))

    def note_column(self, kind: str, column: str, detail: str, table: str = "") -> None:
        """A finding about a whole column, or about the table where `column` is empty."""
        self.note(kind, 0, column, detail, table)

    def note_cells(
        self, kind: str, where: NDArray[np.bool_], detail: str, rows: NDArray[np.int64], column: str, table: str
    ) -> None:
        """A finding for each of these cells, or one for the column where they are too many to read."""
        if is_too_many(where, len(where)):
            self.note_column(kind, column, f"{detail}: {int(where.sum())} of {len(where)} rows", table)
            return
        for row in rows[where]:
            self.note(kind, int(row), column, detail, table)

    def add(self, *findings: Finding) -> None:
        self._findings += findings

    def all(self) -> tuple[Finding, ...]:
        return tuple(self._findings)
