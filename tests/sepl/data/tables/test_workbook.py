from datetime import date, datetime
from pathlib import Path

import openpyxl
import pytest

from sepl.data.tables.workbook import read_sheet
from sepl.errors import CohortError


def write_book(path: Path, **sheets: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book["Sheet"])
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_cells_are_as_the_sheet_shows_them(tmp_path: Path) -> None:
    cells = [7.0, 0.5, 1234567890123, True, None, " a ", datetime(2020, 3, 1), datetime(2020, 3, 1, 10, 30)]
    book = write_book(tmp_path / "t.xlsx", labs=[[*cells, date(2020, 3, 2)]])

    _, rows = read_sheet(book, None)

    assert rows == [["7", "0.5", "1234567890123", "true", "", "a", "2020-03-01", "2020-03-01 10:30:00", "2020-03-02"]]


@pytest.mark.parametrize("wanted", ["new", 2])
def test_a_sheet_is_asked_for_by_name_or_number(tmp_path: Path, wanted: str | int) -> None:
    book = write_book(tmp_path / "t.xlsx", old=[["a"]], new=[["b"]])

    assert read_sheet(book, wanted) == ("new", [["b"]])


def test_the_only_sheet_with_cells_needs_no_name(tmp_path: Path) -> None:
    assert read_sheet(write_book(tmp_path / "t.xlsx", empty=[], full=[["a"]]), None) == ("full", [["a"]])


def test_of_two_sheets_with_cells_one_has_to_be_named(tmp_path: Path) -> None:
    book = write_book(tmp_path / "t.xlsx", old=[["a"]], new=[["b"]])

    with pytest.raises(CohortError, match="sheet should say which of old, new is meant"):
        read_sheet(book, None)


@pytest.mark.parametrize("wanted", ["labs", 0, 3])
def test_a_sheet_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path, wanted: str | int) -> None:
    book = write_book(tmp_path / "t.xlsx", old=[["a"]], new=[["b"]])

    with pytest.raises(CohortError, match=f"sheet should be one of old, new or its number, was {wanted!r}"):
        read_sheet(book, wanted)


def test_a_file_that_is_no_workbook_is_a_value_error(tmp_path: Path) -> None:
    (tmp_path / "t.xlsx").write_bytes(b"PK\x03\x04 no workbook")

    with pytest.raises(ValueError, match="zip"):
        read_sheet(tmp_path / "t.xlsx", None)
