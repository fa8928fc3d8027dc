"""Photographs to score are found in folders and tables, each once and in order."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bundles import draw_fundus
from openpyxl import Workbook

from sepl.data.tables.table import Reading
from sepl.errors import CohortError, ImageError
from sepl.scoring.sources import find_photographs

PICTURE = draw_fundus()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.PNG", "deep/er/c.tiff", "deep/d.dcm", "labels.txt"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PICTURE)
    return tmp_path / "images"


def test_a_folder_gives_its_photographs_at_any_depth_by_name(folder: Path) -> None:
    source = find_photographs(str(folder))

    photographs = list(source)

    assert [photograph.name for photograph in photographs] == ["a.PNG", "b.jpg", "deep/d.dcm", "deep/er/c.tiff"]
    assert source.num_photographs == 4
    assert all(photograph.read() == PICTURE for photograph in photographs)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_gives_a_photograph_a_row_in_its_order(folder: Path, suffix: str) -> None:
    table = _write_table(folder.parent / f"table.{suffix}", "photo", ["images/b.jpg", "images/a.PNG", "images/b.jpg"])

    source = find_photographs(str(table), image_column="photo")

    assert source.num_photographs == 3
    names = []
    for photograph in source:
        names.append(photograph.name)
        assert photograph.read() == PICTURE
    assert names == ["images/b.jpg", "images/a.PNG", "images/b.jpg"]


def test_a_tables_paths_may_begin_elsewhere_or_be_absolute(folder: Path, tmp_path: Path) -> None:
    table = _write_table(tmp_path / "table.csv", "image", ["b.jpg", str(folder / "a.PNG"), f"file://{folder}/a.PNG"])

    photographs = list(find_photographs(str(table), images=str(folder)))

    assert [photograph.read() == PICTURE for photograph in photographs] == [True, True, True]


def test_names_that_look_like_numbers_stay_text(tmp_path: Path) -> None:
    table = _write_table(tmp_path / "table.csv", "image", ["0012", "7"])

    assert [photograph.name for photograph in find_photographs(str(table))] == ["0012", "7"]


def test_a_row_without_a_name_and_one_without_a_file_say_so_when_read(tmp_path: Path) -> None:
    table = _write_table(tmp_path / "table.parquet", "image", [None, "absent.jpg"])

    unnamed, absent = find_photographs(str(table))

    with pytest.raises(ImageError, match="names no file"):
        unnamed.read()
    with pytest.raises(FileNotFoundError):
        absent.read()


def test_a_wrong_column_is_answered_with_the_choices(tmp_path: Path) -> None:
    table = _write_table(tmp_path / "table.csv", "image", ["a.jpg"])

    with pytest.raises(CohortError, match=r"image column should be a column of .*table.csv \(image\), was 'photo'"):
        find_photographs(str(table), image_column="photo")


@pytest.mark.parametrize("name", ["absent", "absent.csv", "b.jpg"])
def test_an_input_of_no_known_kind_is_one_clear_error(folder: Path, name: str) -> None:
    with pytest.raises(CohortError, match=r"input should be a folder or a table \(\.csv, \.tsv"):
        find_photographs(str(folder / name))


def test_a_folder_without_photographs_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="holds none"):
        find_photographs(str(tmp_path))


def test_a_damaged_parquet_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "table.parquet").write_bytes(b"PAR1 nonsense")

    with pytest.raises(CohortError, match="cannot be read as parquet"):
        find_photographs(str(tmp_path / "table.parquet"))


def _write_table(path: Path, column: str, names: list[str | None]) -> Path:
    if path.suffix == ".csv":
        path.write_text("\n".join([column, *map(str, names)]) + "\n")
        return path
    pq.write_table(pa.table({column: pa.array(names, pa.string())}), path)
    return path


def test_a_table_tells_the_eye_in_any_usual_spelling(folder: Path) -> None:
    table = pa.table({"image": ["b.jpg", "a.PNG", "b.jpg", "b.jpg"], "side": ["OS", "right", None, "both"]})
    pq.write_table(table, folder / "table.parquet")

    source = find_photographs(str(folder / "table.parquet"), eye_column="side")

    assert [photograph.eye for photograph in source] == ["left", "right", "", ""]
    with pytest.raises(CohortError, match=r"eye column should be a column of .* \(image, side\), was 'eye'"):
        find_photographs(str(folder / "table.parquet"), eye_column="eye")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_patients_rows_are_read_one_after_the_other_and_know_their_places(folder: Path, suffix: str) -> None:
    whose = ["007", " b", "", "7", "b", "007", ""]
    names = [f"{place}.jpg" for place in range(len(whose))]
    path = folder / f"table.{suffix}"
    if suffix == "csv":
        path.write_text("\n".join(["who,image", *map(",".join, zip(whose, names, strict=True))]) + "\n")
    else:
        keys = [key or None for key in whose]
        pq.write_table(pa.table({"who": keys, "image": names}), path, row_group_size=3)

    source = find_photographs(str(path), patient_column="who")

    assert source.order is not None
    assert source.order.tolist() == [0, 5, 1, 4, 2, 3, 6]
    found = [(photograph.name, photograph.patient) for photograph in source]
    assert found == [(names[place], whose[place].strip()) for place in source.order]


def test_a_table_by_patient_is_read_in_pieces_as_it_is(folder: Path) -> None:
    table = pa.table({"image": ["a", "b", "c", "d", "e"], "who": pa.array([3, 3, None, None, 1], pa.int64())})
    pq.write_table(table, folder / "table.parquet", row_group_size=2)

    source = find_photographs(str(folder / "table.parquet"), patient_column="who")

    assert source.order is None
    assert [(row.name, row.patient) for row in source] == [("a", "3"), ("b", "3"), ("c", ""), ("d", ""), ("e", "1")]


def test_a_dictionary_of_patients_is_a_column_like_others(folder: Path) -> None:
    who = pa.chunked_array([["a", "b"], ["c", "b"], ["a"]]).dictionary_encode()
    pq.write_table(pa.table({"image": list("12345"), "who": who}), folder / "table.parquet", row_group_size=2)

    source = find_photographs(str(folder / "table.parquet"), patient_column="who")

    assert [(row.name, row.patient) for row in source] == [("1", "a"), ("5", "a"), ("2", "b"), ("4", "b"), ("3", "c")]


def test_a_wrong_patient_column_is_one_clear_error(folder: Path) -> None:
    pq.write_table(pa.table({"image": ["b.jpg"], "side": ["OS"]}), folder / "table.parquet")

    with pytest.raises(CohortError, match=r"patient column should be a column of .* \(image, side\), was 'who'"):
        find_photographs(str(folder / "table.parquet"), patient_column="who")


@pytest.mark.parametrize("option", ["image_column", "images", "eye_column", "patient_column"])
def test_what_only_a_table_has_is_refused_of_a_folder(option: str, folder: Path) -> None:
    named = option.replace("_", " ")
    options: dict[str, Any] = {option: "who"}

    with pytest.raises(CohortError, match=f"{named} should be given with a table, was 'who' of the folder"):
        find_photographs(str(folder), **options)


ROWS = [["foto größe/1.jpg", "OD.", "007"], ["2.jpg", "left eye", "NA"], ["3.jpg", "", "NaN"], ["4.jpg", "OS", "007"]]
ENTRIES = [("foto größe/1.jpg", "right", "007"), ("4.jpg", "left", "007"), ("2.jpg", "left", ""), ("3.jpg", "", "")]


def _lines(delimiter: str) -> str:
    return "".join(delimiter.join(row) + "\n" for row in [["image", "side", "who"], *ROWS])


def _write_rows(path: Path, kind: str) -> None:
    if path.suffix == ".xlsx":
        book = Workbook()
        for row in [["image", "side", "who"], *ROWS]:
            book.worksheets[0].append(row)
        book.save(path)
    elif path.suffix == ".parquet":
        absent = [[None if cell in ("", "NA", "NaN") else cell for cell in row] for row in ROWS]
        arrays = [pa.array(cells, pa.string()) for cells in zip(*absent, strict=True)]
        arrays = [column.dictionary_encode() if kind == "codes" else column.cast(pa.string_view()) for column in arrays]
        pq.write_table(pa.table(arrays, names=["image", "side", "who"]), path)
    else:
        delimiter, encoding = kind.split(" ")
        path.write_text(_lines({"tab": "\t"}.get(delimiter, delimiter)), encoding)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *[("t.csv", ", utf-8"), ("t.csv", "; utf-8-sig"), ("t.tsv", "tab utf-16"), ("t.txt", "; latin-1")],
        *[("t.xlsx", ""), ("t.parquet", "views"), ("t.parquet", "codes")],
    ],
)
def test_the_same_rows_in_any_format_are_the_same_photographs(tmp_path: Path, name: str, kind: str) -> None:
    _write_rows(tmp_path / name, kind)

    source = find_photographs(str(tmp_path / name), eye_column="side", patient_column="who")

    assert [(row.name, row.eye, row.patient) for row in source] == ENTRIES
    assert source.order is not None
    assert source.order.tolist() == [0, 3, 1, 2]


def test_a_nan_in_a_patient_column_of_numbers_is_nobody(tmp_path: Path) -> None:
    who = pa.array([float("nan"), 7.0, float("nan")])
    pq.write_table(pa.table({"image": list("abc"), "who": who}), tmp_path / "t.parquet")

    rows = list(find_photographs(str(tmp_path / "t.parquet"), patient_column="who"))

    assert [row.patient == "" for row in rows] == [True, False, True]


def test_eyes_that_a_filled_cell_does_not_tell_are_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "t.csv").write_text("image,side\na,OD\nb,both\nc,NA\nd,up\n")

    find_photographs(str(tmp_path / "t.csv"), eye_column="side")

    (told,) = caplog.messages
    assert "no eye is known of 2 of 4 rows" in told
    assert "(the first is row 3)" in told


def test_ids_that_lost_digits_are_refused_as_in_preparation(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,who\na,1.23E+11\nb,7\n")

    with pytest.raises(CohortError, match=r"t\.csv, column 'who', row 2 should be an id, is a number in scientific"):
        find_photographs(str(tmp_path / "t.csv"), patient_column="who")


def test_what_is_found_wrongly_of_a_table_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a report\nimage|größe,x\nä.jpg|1,2\n", "cp850")

    (row,) = find_photographs(str(tmp_path / "t.csv"), reading=Reading(encoding="cp850", delimiter="|", header=2))

    assert row.name == "ä.jpg"
    with pytest.raises(CohortError, match="delimiter should be given with a table"):
        find_photographs(str(tmp_path), reading=Reading(delimiter="|"))


def test_a_row_that_only_other_columns_fill_keeps_its_place(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,age\na,1\n,2\n,\n\nb,3\n")

    assert [row.name for row in find_photographs(str(tmp_path / "t.csv"))] == ["a", "", "b"]
