"""What was noticed in a cohort's tables and headers that did not stop the run.

A finding says where (table, column, row), never who: no id, no name, no file name, no cell's text.
"""

from dataclasses import dataclass


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
