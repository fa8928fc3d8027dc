import codecs
from datetime import date, datetime

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.data.tables.dates import read_visits
from sepl.data.tables.encodings import find_encoding
from sepl.data.tables.table import DELIMITERS, Reading, find_delimiter, read_table
from sepl.errors import CohortError

TEXTS = {
    "Western": ("cp1252", "Patient;Größe;Alter\nMüller;1,80;70\nBöhm;1,60;65\n"),
    "Latin-1": ("iso-8859-1", "ID,subid,µmol\n0,1,70\n"),
    "Korean": ("cp949", "환자,성별,나이\n1,남,50\n2,여,40\n"),
    "Japanese": ("cp932", "患者,性別,年齢\n1,男,50\n2,女,40\n"),
    "Russian": ("cp1251", "пациент;пол;возраст\n1;муж;40\n2;жен;50\n"),
    "Polish": ("cp1250", "pacjent;płeć;wiek\n1;mężczyzna;50\n2;kobieta;45\n"),
    "UTF-8": ("utf-8", "患者;Größe\n1;2\n"),
    "UTF-8 with mark": ("utf-8-sig", "患者;Größe\n1;2\n"),
    "UTF-16 with mark": ("utf-16", "Patient\tGröße\n1\t2\n"),
    "ASCII": ("ascii", "patient|age\n1|2\n"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_the_encoding_is_found(tmp_path, case):
    encoding, text = TEXTS[case]
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))

    table = read_table(tmp_path / "t.csv")

    header, *rows = text.splitlines()
    delimiter = next(sign for sign in DELIMITERS if sign in header)
    assert table.columns == tuple(header.split(delimiter))
    assert table.frame.to_numpy().tolist() == [row.split(delimiter) for row in rows]
    assert table.rows.tolist() == list(range(2, 2 + len(rows)))


@pytest.mark.parametrize(("encoding", "mark"), [("utf-16-le", codecs.BOM_UTF16_LE), ("utf-16-be", codecs.BOM_UTF16_BE)])
def test_utf_16_is_found_with_and_without_its_mark(tmp_path, encoding, mark):
    for start in (b"", mark):
        (tmp_path / "t.csv").write_bytes(start + "patient;age\nMüller;7\n".encode(encoding))

        assert read_table(tmp_path / "t.csv").columns == ("patient", "age")


def test_letters_far_down_a_long_table_tell_its_encoding(tmp_path):
    rows = "1,plain\n" * 50_000
    (tmp_path / "t.csv").write_bytes(b"id,name\n" + rows.encode() + "2,Müller\n".encode("cp1252"))

    assert find_encoding(tmp_path / "t.csv") == "cp1252"
    assert read_table(tmp_path / "t.csv").frame["name"].iloc[-1] == "Müller"


def test_a_binary_file_is_no_csv(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"PK\x03\x04" + bytes(40) + b"abc" * 100)

    with pytest.raises(CohortError, match=r"t.csv: cannot be read as csv: it is not text"):
        read_table(tmp_path / "t.csv")


words = st.text(alphabet="abcxyz 0123456789", min_size=1, max_size=6).map(str.strip).filter(bool)


@given(st.sampled_from(DELIMITERS), st.integers(2, 6), st.data())
def test_the_delimiter_is_found(delimiter, width, data):
    rows = data.draw(st.lists(st.lists(words, min_size=width, max_size=width), min_size=2, max_size=8))
    lines = [delimiter.join(row) + "\n" for row in rows]

    assert find_delimiter(lines) == delimiter


def test_a_delimiter_in_quotes_parts_nothing():
    assert find_delimiter(["id;note\n", '1;"a, b, c"\n', '2;"d, e, f"\n']) == ";"
    assert find_delimiter(["id,pressure\n", '1,"12;8"\n', '2,"13;9"\n']) == ","


@pytest.mark.parametrize("name", ["t.tsv", "t.txt", "t.CSV"])
def test_tabs_and_other_endings_are_read(tmp_path, name):
    (tmp_path / name).write_text("id\tage\n7\t61\n")

    assert read_table(tmp_path / name).frame.to_numpy().tolist() == [["7", "61"]]


def test_excels_own_first_line_is_no_row(tmp_path):
    (tmp_path / "t.csv").write_text("sep=;\nid;age\n1;61\n")

    table = read_table(tmp_path / "t.csv")

    assert (table.columns, table.rows.tolist()) == (("id", "age"), [2])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_any_system_ends_them(tmp_path, end):
    (tmp_path / "t.csv").write_bytes(end.join(["id;height", "1;5'11\"", "", "2;6'2\""]).encode())

    table = read_table(tmp_path / "t.csv")

    assert table.frame.to_numpy().tolist() == [["1", "5'11\""], ["2", "6'2\""]]
    assert table.rows.tolist() == [2, 4]


def test_titles_above_the_header_are_passed_over(tmp_path):
    (tmp_path / "t.csv").write_text("Department of Eyes\n\nid,age\n1,61\n")

    table = read_table(tmp_path / "t.csv", Reading(header=3))

    assert (table.columns, table.rows.tolist()) == (("id", "age"), [4])


def test_a_delimiter_at_the_end_of_rows_is_no_field(tmp_path):
    (tmp_path / "t.csv").write_text("id;age\n1;61;\n2;62;\n3;63\n")

    assert read_table(tmp_path / "t.csv").frame.to_numpy().tolist() == [["1", "61"], ["2", "62"], ["3", "63"]]


def test_a_row_that_is_too_short_has_absent_values(tmp_path):
    (tmp_path / "t.csv").write_text("id;age;sex\n1;61;M\n2\n")

    table = read_table(tmp_path / "t.csv")

    assert [table.texts(name).tolist() for name in table.columns] == [["1", "2"], ["61", ""], ["M", ""]]


def test_a_column_named_twice_is_refused_when_it_is_wanted(tmp_path):
    (tmp_path / "t.csv").write_text("id,age,age\n1,61,16\n")

    with pytest.raises(CohortError, match=r"x should be one column of .*t.csv, 'age' stands over more than one"):
        read_table(tmp_path / "t.csv").check("age", "x")


def test_names_are_stripped(tmp_path):
    (tmp_path / "t.csv").write_text(" id , age\n1,61\n")

    assert read_table(tmp_path / "t.csv").columns == ("id", "age")


def test_what_is_declared_is_not_guessed(tmp_path):
    (tmp_path / "t.csv").write_bytes("id|größe;x\n1|2;3\n".encode("cp850"))

    assert read_table(tmp_path / "t.csv", Reading(encoding="cp850", delimiter="|")).columns == ("id", "größe;x")
    with pytest.raises(CohortError, match=r"cannot be read as csv: .*unknown encoding: cp0"):
        read_table(tmp_path / "t.csv", Reading(encoding="cp0"))


# --- workbooks


@pytest.fixture
def workbook(tmp_path):
    def _write(**sheets):
        book = openpyxl.Workbook()
        book.remove(book["Sheet"])
        for title, rows in sheets.items():
            sheet = book.create_sheet(title)
            for row in rows:
                sheet.append(row)
        book.save(tmp_path / "t.xlsx")
        return tmp_path / "t.xlsx"

    return _write


def test_a_workbook_is_read_as_its_sheet_shows_it(workbook):
    path = workbook(
        labs=[
            ["id", "age", "seen", "when", "hba1c", "smoker"],
            [7, 61.0, date(2020, 3, 1), datetime(2020, 3, 1, 10, 30), 5.6, True],
            [None, None, None, None, None, None],
            ["007", None, "2020-03-01", None, "5,6", False],
        ]
    )

    table = read_table(path)

    assert table.frame.to_numpy().tolist() == [
        ["7", "61", "2020-03-01", "2020-03-01 10:30:00", "5.6", "true"],
        ["007", "", "2020-03-01", "", "5,6", "false"],
    ]
    assert table.rows.tolist() == [2, 4]


def test_the_only_filled_sheet_is_meant(workbook):
    assert read_table(workbook(empty=[], labs=[["id"], [1]], also=[])).columns == ("id",)


def test_of_several_sheets_one_is_chosen_by_name_or_number(workbook):
    path = workbook(one=[["a"], [1]], two=[["b"], [2]])

    assert read_table(path, Reading(sheet="two")).columns == ("b",)
    assert read_table(path, Reading(sheet=1)).columns == ("a",)
    with pytest.raises(CohortError, match=r"t.xlsx: sheet should say which of one, two is meant"):
        read_table(path)
    with pytest.raises(CohortError, match=r"t.xlsx: sheet should be one of one, two or its number, was 'three'"):
        read_table(path, Reading(sheet="three"))


def test_a_title_above_the_header_of_a_sheet_is_passed_over(workbook):
    table = read_table(workbook(labs=[["Department"], [], ["id", "age"], [1, 61]]), Reading(header=3))

    assert (table.columns, table.rows.tolist()) == (("id", "age"), [4])


def test_a_wrong_workbook_is_one_clear_line(workbook, tmp_path):
    with pytest.raises(CohortError, match=r"t.xlsx: cannot be read as xlsx: row 1 of sheet 'labs' should name"):
        read_table(workbook(labs=[[None], [1]]))
    with pytest.raises(CohortError, match=r"t.xlsx: cannot be read as xlsx: a row has more fields"):
        read_table(workbook(labs=[["id"], [1, 2]]))
    (tmp_path / "t.xlsx").write_text("no workbook")
    with pytest.raises(CohortError, match=r"t.xlsx: cannot be read as xlsx: File is not a zip file"):
        read_table(tmp_path / "t.xlsx")
    (tmp_path / "t.xls").write_text("old")
    with pytest.raises(CohortError, match=r"t.xls: a cohort's table should be .csv.*; save it as .xlsx"):
        read_table(tmp_path / "t.xls")


def test_dates_and_categories_of_parquet_are_text(tmp_path):
    days = pd.DatetimeIndex(["2020-03-01 00:00", "2020-03-02 10:30", pd.NaT])
    frame = pd.DataFrame({"day": days, "date": days.date, "sex": pd.Categorical(["M", "F", None]), "n": [1, None, 3]})
    frame.astype({"n": "Int64"}).to_parquet(tmp_path / "t.parquet")

    table = read_table(tmp_path / "t.parquet")

    assert table.texts("sex").tolist() == ["M", "F", ""]
    assert table.texts("n").tolist() == ["1", "", "3"]
    assert table.texts("date").tolist() == ["2020-03-01", "2020-03-02", ""]
    assert read_visits(table.texts("day"))[0].tolist() == ["2020-03-01", "2020-03-02", ""]


def test_the_three_kinds_of_file_read_the_same(workbook, tmp_path):
    frame = pd.DataFrame({"id": ["a", "b"], "age": [61, 62], "hba1c": [5.6, np.nan]})
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_csv(tmp_path / "t.csv", index=False)
    path = workbook(labs=[["id", "age", "hba1c"], ["a", 61, 5.6], ["b", 62, None]])

    tables = [read_table(each) for each in (tmp_path / "t.parquet", tmp_path / "t.csv", path)]

    texts = [[table.texts(name).tolist() for name in ("id", "age", "hba1c")] for table in tables]
    assert texts[0] == texts[1] == texts[2] == [["a", "b"], ["61", "62"], ["5.6", ""]]
