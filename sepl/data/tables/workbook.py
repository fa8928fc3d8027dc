"""The cells of a workbook's sheet as text, as the sheet shows them."""

import warnings
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from sepl.errors import CohortError


def read_sheet(path: Path, wanted: str | int | None) -> tuple[str, list[list[str]]]:
    """Title and cells of the sheet of that name or number (from 1), or of the only one with cells.

    Raises CohortError for a sheet that is not there or not said, ValueError for a file that is no workbook.
    """
    from openpyxl import load_workbook  # half a second that a cohort without a workbook need not spend

    with path.open("rb") as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl warns of styles and validations that it drops
        try:
            book = load_workbook(stream, read_only=True, data_only=True)
            sheet = _sheet_of(book, path, wanted)
            return sheet.title, [[_cell_text(cell) for cell in row] for row in sheet.iter_rows(values_only=True)]
        except CohortError:
            raise
        except Exception as problem:  # a damaged workbook is whatever openpyxl, zlib or the XML parser stumbles over
            raise ValueError(str(problem) or type(problem).__name__) from None


def _sheet_of(book: Any, path: Path, wanted: str | int | None) -> Any:
    """The sheet that is asked for, or the only one with cells."""
    names = book.sheetnames
    if isinstance(wanted, int) and 1 <= wanted <= len(names):
        wanted = names[wanted - 1]
    if wanted is None:
        filled = [sheet.title for sheet in book.worksheets if next(_filled_rows(sheet), None)]
        if len(filled) > 1:
            raise CohortError(f"{path}: sheet should say which of {', '.join(filled)} is meant")
        wanted = filled[0] if filled else names[0]
    if wanted not in names:
        raise CohortError(f"{path}: sheet should be one of {', '.join(names)} or its number, was {wanted!r}")
    sheet = book[wanted]
    sheet.reset_dimensions()  # some programs write wrong ones
    return sheet


def _filled_rows(sheet: Any) -> Iterator[Any]:
    sheet.reset_dimensions()
    return (row for row in sheet.iter_rows(values_only=True) if any(cell is not None for cell in row))


def _cell_text(cell: object) -> str:
    """As the sheet shows it: whole numbers without decimals, dates as ISO dates."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return str(int(cell))
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(sep=" ")
    return cell.isoformat() if isinstance(cell, date) else str(cell).strip()
