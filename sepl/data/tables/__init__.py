"""Cells of a hospital's table: what they say, in which unit."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = [
    "CohortTable",
    "Reading",
    "Unit",
    "is_absent",
    "quantity_of",
    "read_codes",
    "read_eyes",
    "read_numbers",
    "read_sexes",
    "read_table",
    "read_visits",
]

if TYPE_CHECKING:
    from sepl.data.tables.dates import read_visits
    from sepl.data.tables.sexes import read_sexes
    from sepl.data.tables.spellings import read_eyes
    from sepl.data.tables.table import CohortTable, Reading, read_table
    from sepl.data.tables.units import Unit, quantity_of
    from sepl.data.tables.values import is_absent, read_codes, read_numbers
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "dates": ["read_visits"],
            "sexes": ["read_sexes"],
            "spellings": ["read_eyes"],
            "table": ["CohortTable", "Reading", "read_table"],
            "units": ["Unit", "quantity_of"],
            "values": ["is_absent", "read_codes", "read_numbers"],
        },
    )
