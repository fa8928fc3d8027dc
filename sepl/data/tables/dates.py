"""Dates of visits in the spellings that exports use."""

import re
from collections.abc import Sequence
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sepl.data.tables.values import each, is_absent

DateOrder = Literal["dmy", "mdy"]

_DATE_PARTS = re.compile(r"(\d{1,4})[-/. ](\d{1,2})[-/. ](\d{2,4})(?:[T ].*)?")
_COMPACT_DATE = re.compile(r"((?:19|20)\d{2})(\d{2})(\d{2})(?:\d{6}.*|[T ].*)?")


def read_visits(text: "pd.Series", order: DateOrder | None = None) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Dates as YYYY-MM-DD, every other text as it is, '' where absent (N,); and which dates could be read both ways.

    Day before month or month before day is told by `order`, else by the column's own dates (a 13 and more is a day);
    dates with points are day first. What stays ambiguous is kept as text.
    """
    cells = [str(cell) for cell in text.unique()]
    found: DateOrder | None = order or _order_of(cells)
    spelled = {cell: _visit(cell, found) for cell in cells}
    visits = each(text, lambda cell: spelled[cell][0], np.object_)
    visits[is_absent(text)] = ""
    return visits, each(text, lambda cell: spelled[cell][1], np.bool_)


def _visit(cell: str, order: DateOrder | None) -> tuple[str, bool]:
    """The visit's spelling, and whether it is a date whose order of day and month is open."""
    if match := _COMPACT_DATE.fullmatch(cell):
        return _iso(match[1], match[2], match[3]) or cell, False
    match = _DATE_PARTS.fullmatch(cell)
    if not match:
        return cell, False
    first, second, third = match.groups()
    if len(first) == 4:
        return _iso(first, second, third) or cell, False
    if len(third) != 4:
        return cell, False  # a year of two digits may be any part
    order = "dmy" if "." in cell[: match.end(2) + 1] else order
    if order is None:
        if first == second:
            return _iso(third, second, first) or cell, False
        return cell, True
    day, month = (first, second) if order == "dmy" else (second, first)
    return _iso(third, month, day) or cell, False


def _iso(year: str, month: str, day: str) -> str:
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return ""


def _order_of(cells: Sequence[str]) -> DateOrder | None:
    """Told by the dates that can be read in one way only; None when none can, or they contradict each other."""
    parts = [match.groups() for match in map(_DATE_PARTS.fullmatch, cells) if match and len(match[3]) == 4]
    days_first = any(int(first) > 12 for first, _, _ in parts)
    months_first = any(int(second) > 12 for _, second, _ in parts)
    if days_first == months_first:
        return None
    return "dmy" if days_first else "mdy"
