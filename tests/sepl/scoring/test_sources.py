"""Photographs to score are found in folders and tables, each once and in order."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bundles import draw_fundus

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

    with pytest.raises(CohortError, match="image column should be one of image, was 'photo'"):
        find_photographs(str(table), image_column="photo")


@pytest.mark.parametrize("name", ["absent", "absent.csv", "labels.txt"])
def test_an_input_of_no_known_kind_is_one_clear_error(folder: Path, name: str) -> None:
    with pytest.raises(CohortError, match=r"input should be a folder, a \.csv or a \.parquet file"):
        find_photographs(str(folder / name))


def test_a_folder_without_photographs_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="holds none"):
        find_photographs(str(tmp_path))


def test_a_damaged_parquet_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "table.parquet").write_bytes(b"PAR1 nonsense")

    with pytest.raises(CohortError, match="cannot be read as a table"):
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
    with pytest.raises(CohortError, match="eye column should be one of image, side, was 'eye'"):
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

    with pytest.raises(CohortError, match="patient column should be one of image, side, was 'who'"):
        find_photographs(str(folder / "table.parquet"), patient_column="who")


@pytest.mark.parametrize("option", ["image_column", "images", "eye_column", "patient_column"])
def test_what_only_a_table_has_is_refused_of_a_folder(option: str, folder: Path) -> None:
    named = option.replace("_", " ")

    with pytest.raises(CohortError, match=f"{named} should be given with a table, was 'who' of the folder"):
        find_photographs(str(folder), **{option: "who"})
