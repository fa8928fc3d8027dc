import pandas as pd
import pytest
from cohort_files import noted, read_files
from dicoms import draw_fundus, write_dicom

from sepl.data.patients.ids import IdOptions, describe_near
from sepl.errors import CohortError

TOML = 'name = "i"\ntable = "t.csv"\n[tasks.age]\ncolumn = "age"\n'
NEAR = ("P7", "p7", "P07", "P007", "7", "007", "7.0", "P7\u200b", "Müller", "Mu\u0308ller", "Ｐ７", "other")


def table(*ids):
    return "image,patient,age\n" + "".join(f"{index}.jpg,{text},40\n" for index, text in enumerate(ids))


def test_ids_that_are_nearly_equal_are_noted_with_counts(tmp_path):
    cohort = read_files(tmp_path, cohort_toml=TOML, t_csv=table(*NEAR))

    assert cohort.patients == NEAR
    assert noted(cohort) == [("ids nearly equal", "t.csv", 0, "patient")]
    assert cohort.findings[0].detail == (
        "11 of 12 ids are nearly another's and count as patients of their own: 5 by Unicode form or invisible "
        "characters (ignore_form), 2 by capitals (ignore_case), 6 by zeros (ignore_zeros); "
        "say in [ids] what does not count"
    )


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("ignore_case", ("p7", "p7", "p07", "p007", "7", "007", "7.0", "p7\u200b", "müller", "mu\u0308ller", "ｐ７")),
        ("ignore_zeros", ("P7", "p7", "P7", "P7", "7", "7", "7", "P7\u200b", "Müller", "Mu\u0308ller", "Ｐ７")),
        ("ignore_form", ("P7", "p7", "P07", "P007", "7", "007", "7.0", "P7", "Müller", "Müller", "P7")),
    ],
)
def test_an_option_brings_together_what_it_names_alone(option, expected):
    options = IdOptions.model_validate({option: True})

    assert tuple(options.fold(text) for text in NEAR[:-1]) == expected


@pytest.mark.parametrize("text", ["0", "10", "1.50", "A-10-200", "1.05.2", "x0y", "P100"])
def test_zeros_that_count_stay(text):
    assert IdOptions(ignore_zeros=True).fold(text) == text


def test_ids_without_neighbours_are_not_noted():
    assert describe_near(["A1", "A2", "A10", "B1", "", "A1"]) == ""


def test_with_all_options_nearly_equal_ids_are_one_patient_and_nothing_is_noted(tmp_path):
    toml = TOML + "[ids]\nignore_case = true\nignore_zeros = true\nignore_form = true\n"

    cohort = read_files(tmp_path, cohort_toml=toml, t_csv=table(*NEAR))

    assert set(cohort.patients) == {"p7", "7", "müller", "other"}
    assert cohort.findings == ()


TWO_TABLES = """name = "i"
[[tables]]
path = "t.csv"
per = "photograph"
image = "image"
patient = "patient"
[[tables]]
path = "p.csv"
per = "patient"
patient = "id"
[tasks.sbp]
column = "sbp"
"""


def test_ids_of_two_tables_are_compared_and_brought_together(tmp_path):
    files = {"t_csv": table("007", "8"), "p_csv": "id,sbp\n7,120\n8,130\n"}

    apart = read_files(tmp_path, cohort_toml=TWO_TABLES, **files)
    together = read_files(tmp_path, cohort_toml=TWO_TABLES + "[ids]\nignore_zeros = true\n", **files)

    assert ("ids nearly equal", "t.csv", 0, "patient") in noted(apart)
    assert together.labels_NT[:, 0].tolist() == [120, 130]
    assert together.patients == ("7", "8")
    assert together.findings == ()


def test_ids_of_paths_and_headers_are_brought_together(tmp_path):
    (tmp_path / "p07_x.jpg").write_bytes(b"x")
    (tmp_path / "a.dcm").write_bytes(write_dicom(draw_fundus(24, 24), header={"PatientID": "P007"}))
    toml = (
        'name = "i"\n[photographs]\npattern = "(?P<patient>[^_]+)_x"\n'
        "[ids]\nignore_zeros = true\nignore_case = true\n[tasks.age]\n"
    )

    assert read_files(tmp_path, cohort_toml=toml).patients == ("p7", "p7")


@pytest.mark.parametrize("text", ["1.23457E+11", "1,23457e+11", "1E+12", "1.2345678901234568e+17"])
def test_a_number_that_lost_its_digits_is_no_id(tmp_path, text):
    with pytest.raises(CohortError, match=r"t.csv, column 'patient', row 3 should be an id, is a number in scientific"):
        read_files(tmp_path, cohort_toml=TOML, t_csv=table("A", f'"{text}"'))


def test_a_float_column_of_parquet_too_large_for_ids_is_refused(tmp_path):
    frame = pd.DataFrame({"image": ["a.jpg", "b.jpg"], "patient": [12345678901234567.0, 2.0], "age": [40, 41]})
    frame.to_parquet(tmp_path / "t.parquet")

    with pytest.raises(CohortError, match="whose last digits a spreadsheet dropped, as in 1 of 2 rows"):
        read_files(tmp_path, cohort_toml=TOML.replace("t.csv", "t.parquet"))


@pytest.mark.parametrize("text", ["1E05", "E+5", "1.23456789012E+11", "12345678901234567", "1e5"])
def test_what_only_looks_like_one_is_an_id(tmp_path, text):
    assert read_files(tmp_path, cohort_toml=TOML, t_csv=table(text)).patients == (text,)
