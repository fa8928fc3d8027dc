import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sepl.data.cohort import read_cohort
from sepl.errors import CohortError

HEADER = 'name = "c"\ntable = "labels.csv"\n[columns]\nimage = "image"\npatient = "patient"\neye = "eye"\n'
AGE = '[tasks.age]\ncolumn = "age"\n'
SEX = '[tasks.sex]\ncolumn = "sex"\n'
TABLE = "image,patient,eye,age,sex\na.jpg,007,L,61,M\nb.jpg,007,R,61,M\nc.jpg,8,L,,F\n"


@pytest.fixture
def write(tmp_path):
    """Writes cohort.toml and labels.csv and returns the path of the first."""

    def _write(toml=HEADER + AGE + SEX, table=TABLE):
        (tmp_path / "cohort.toml").write_text(toml, encoding="utf-8")
        (tmp_path / "labels.csv").write_text(table, encoding="utf-8")
        return tmp_path / "cohort.toml"

    return _write


def test_a_cohort_is_read_in_the_order_of_its_table(write):
    cohort = read_cohort(write())

    assert cohort.images == ("a.jpg", "b.jpg", "c.jpg")
    assert cohort.patients == ("007", "007", "8")
    assert cohort.eyes == ("L", "R", "L")
    assert cohort.rows.tolist() == [2, 3, 4]
    assert cohort.tasks.names == ("age", "sex")
    np.testing.assert_array_equal(cohort.labels_NT, [[61, 1], [61, 1], [np.nan, 0]])


def test_a_parquet_table_reads_the_same(write, tmp_path):
    path = write(toml=(HEADER + AGE + SEX).replace("labels.csv", "labels.parquet"))
    frame = pd.read_csv(tmp_path / "labels.csv", dtype={"patient": str, "age": "Int64"})
    frame.to_parquet(tmp_path / "labels.parquet")

    cohort = read_cohort(path)

    assert cohort.patients == ("007", "007", "8")
    assert cohort.rows.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(cohort.labels_NT, [[61, 1], [61, 1], [np.nan, 0]])


def test_whole_numbers_beside_an_absent_one_stay_whole_ids(write, tmp_path):
    path = write(toml=(HEADER + AGE).replace("labels.csv", "labels.parquet").replace('eye = "eye"\n', ""))
    pd.DataFrame({"image": ["a", "b"], "patient": [1, 12345678901234567], "age": [1.5, None]}).to_parquet(
        tmp_path / "labels.parquet"
    )

    assert read_cohort(path).patients == ("1", "12345678901234567")


@pytest.mark.parametrize("spelling", ["", " ", "NA", "n/a", "NaN", "null", "None", "."])
def test_a_missing_label_is_kept_as_missing(write, spelling):
    cohort = read_cohort(write(table=f"image,patient,eye,age,sex\na.jpg,1,L,{spelling},{spelling}\n"))

    assert np.isnan(cohort.labels_NT).all()


@pytest.mark.parametrize(
    ("spelling", "label"), [("M", 1), ("male", 1), ("1", 1), ("1.0", 1), ("f", 0), ("Female", 0), ("0", 0)]
)
def test_the_usual_spellings_of_sex_are_known(write, spelling, label):
    assert read_cohort(write(table=f"image,patient,eye,age,sex\na,1,L,1,{spelling}\n")).labels_NT[0, 1] == label


def test_another_spelling_of_sex_is_refused_with_its_row(write):
    with pytest.raises(CohortError, match=r"labels.csv, column 'sex', row 3 should be one of 1, male, m, 0.*was 'W'"):
        read_cohort(write(table="image,patient,eye,age,sex\na,1,L,1,M\nb,2,L,1,W\n"))


def test_values_that_mean_one_can_be_named(write):
    toml = HEADER + '[tasks.dr]\ncolumn = "grade"\nkind = "binary"\npositive = [2, 3, "PDR"]\n'

    cohort = read_cohort(write(toml, "image,patient,eye,grade\na,1,L,0\nb,1,R,2.0\nc,2,L,pdr\nd,3,L,\n"))

    np.testing.assert_array_equal(cohort.labels_NT[:, 0], [0, 1, 1, np.nan])


def test_one_value_that_means_one_needs_no_list(write):
    toml = HEADER + '[tasks.sex]\ncolumn = "sex"\npositive = "Homme"\n'

    cohort = read_cohort(write(toml, "image,patient,eye,sex\na,1,L,Homme\nb,2,L,Femme\n"))

    assert cohort.labels_NT[:, 0].tolist() == [1, 0]


def test_with_both_sides_named_a_third_value_is_refused(write):
    toml = HEADER + '[tasks.sex]\ncolumn = "sex"\npositive = "Homme"\nnegative = "Femme"\n'

    with pytest.raises(CohortError, match="row 3 should be one of Homme, Femme, was 'Hmme'"):
        read_cohort(write(toml, "image,patient,eye,sex\na,1,L,Homme\nb,2,L,Hmme\n"))


@pytest.mark.parametrize(
    ("value", "should"), [("1280", "from 50 to 300 mmHg"), ("high", "a number"), ("inf", "a number"), ("-1", "from 50")]
)
def test_an_implausible_value_is_refused_with_row_value_and_range(write, value, should):
    toml = HEADER + '[tasks.sbp]\ncolumn = "sbp"\n'
    table = f"image,patient,eye,sbp\na,1,L,120\nb,2,L,{value}\nc,3,L,{value}\n"

    with pytest.raises(
        CohortError, match=rf"column 'sbp', row 3 should be .*{should}.*was '{value}' \(and 1 more row\)"
    ):
        read_cohort(write(toml, table))


def test_a_task_of_ones_own_has_its_unit_and_range(write):
    toml = (
        HEADER
        + '[tasks.iop]\ncolumn = "iop"\nkind = "regression"\nunit = "mmHg"\nlow = 1\nhigh = 80\nlabel = "Pressure"\n'
    )

    task = read_cohort(write(toml, "image,patient,eye,iop\na,1,L,15\n")).tasks["iop"]

    assert (task.unit, task.low, task.high, task.label) == ("mmHg", 1.0, 80.0, "Pressure")


def test_reachable_skill_is_carried(write):
    toml = HEADER + AGE + "reachable_skill = 0.0\n" + SEX + "reachable_skill = 0.8\n"

    assert read_cohort(write(toml)).reachable_skill == {"age": 0.0, "sex": 0.8}


def test_blank_lines_are_passed_over_and_counted(write):
    cohort = read_cohort(write(table="image,patient,eye,age,sex\na,1,L,1,M\n\nb,2,L,1,F\n,,,,\n"))

    assert cohort.rows.tolist() == [2, 4]


WRONG_TABLES = {
    "an empty patient": (
        "image,patient,eye,age,sex\na,1,L,1,M\nb, ,L,1,M\n",
        r"labels.csv, column 'patient', row 3 should be filled",
    ),
    "a patient lost in an export": (
        "image,patient,eye,age,sex\na,nan,L,1,M\n",
        r"column 'patient', row 2 should be filled, was 'nan'",
    ),
    "an empty image": ("image,patient,eye,age,sex\n,1,L,1,M\n", r"labels.csv, column 'image', row 2 should be filled"),
    "a duplicated image": (
        "image,patient,eye,age,sex\na,1,L,1,M\nb,1,L,1,M\n./a,2,L,1,M\n",
        r"column 'image', row 4: 'a' is in row 2 already",
    ),
    "no rows": ("image,patient,eye,age,sex\n", r"labels.csv: no usable row"),
    "an unknown column": (
        "image,patient,eye,sex\na,1,L,M\n",
        r"tasks.age.column should be a column of .*labels.csv \(image, patient, eye, sex\), was 'age'",
    ),
    "an empty file": ("", r"labels.csv: cannot be read as csv"),
    "a ragged row": (
        "image,patient,eye,age,sex\na,1,L,1,M,9,9\nb,1,L,1,M\n",
        r"labels.csv: cannot be read as csv: a row has more fields",
    ),
    "a ragged row further down": (
        "image,patient,eye,age,sex\na,1,L,1,M\nb,1,L,1,M,9\n",
        r"labels.csv: cannot be read as csv: .* line 3",
    ),
}


@pytest.mark.parametrize("case", WRONG_TABLES)
def test_a_wrong_table_is_one_clear_line(write, case):
    table, message = WRONG_TABLES[case]

    with pytest.raises(CohortError, match=message) as caught:
        read_cohort(write(table=table))
    assert "\n" not in str(caught.value)


WRONG_TOML = {
    "no TOML": ("name = ", "cohort.toml: should be a TOML file"),
    "no tasks": (HEADER + "[tasks]\n", "tasks"),
    "an unknown key": (HEADER + AGE + "colour = 1\n", "unknown key tasks.age.colour"),
    "a missing key": ('table = "labels.csv"\n' + AGE, "name is missing"),
    "an own task without its kind": (
        HEADER + '[tasks.iop]\ncolumn = "age"\n',
        r"\[tasks.iop\]: iop is not built in .* so it needs kind",
    ),
    "an own regression without its unit": (
        HEADER + '[tasks.iop]\ncolumn = "age"\nkind = "regression"\n',
        r"\[tasks.iop\]: a regression task needs its unit",
    ),
    "a built-in task bent": (
        HEADER + AGE + 'unit = "months"\n',
        r"\[tasks.age\]: age is built in and has its own unit",
    ),
    "a range upside down": (
        HEADER + '[tasks.iop]\ncolumn = "age"\nkind = "regression"\nunit = "x"\nlow = 3\nhigh = 1\n',
        "should rise, was 3.0 to 1.0",
    ),
    "a name that is none": (HEADER + '[tasks."a b"]\ncolumn = "age"\nkind = "binary"\n', "plain identifier"),
    "a reserved name": (
        HEADER + '[tasks.image]\ncolumn = "age"\nkind = "binary"\n',
        r"\[tasks.image\]: a task should not be named image",
    ),
    "positive for a number": (
        HEADER + AGE + "positive = 1\n",
        r"\[tasks.age\]: positive and negative are for binary tasks",
    ),
    "an image folder that is none": ('images = "nowhere"\n' + HEADER + AGE, "images should be a folder"),
    "a table that is none": (HEADER.replace("labels.csv", "none.csv") + AGE, "none.csv: no such table"),
    "a spreadsheet": (HEADER.replace("labels.csv", "cohort.toml") + AGE, "should be .csv or .parquet"),
}


@pytest.mark.parametrize("case", WRONG_TOML)
def test_a_wrong_cohort_file_is_one_clear_line(write, case):
    toml, message = WRONG_TOML[case]

    with pytest.raises(CohortError, match=message) as caught:
        read_cohort(write(toml))
    assert "\n" not in str(caught.value)


def test_a_missing_cohort_file_is_told(tmp_path):
    with pytest.raises(CohortError, match=r"none.toml: no such cohort file"):
        read_cohort(tmp_path / "none.toml")


def test_a_file_in_latin_1_is_told(write, tmp_path):
    path = write()
    (tmp_path / "labels.csv").write_bytes("image,patient,eye,age,sex\na,Müller,L,1,M\n".encode("latin-1"))

    with pytest.raises(CohortError, match=r"labels.csv: cannot be read as csv: .*utf-8"):
        read_cohort(path)


def test_a_byte_order_mark_is_no_part_of_the_first_column(write):
    assert read_cohort(write(table="\ufeff" + TABLE)).images[0] == "a.jpg"


def test_the_documented_example_is_read(tmp_path):
    text = (Path(__file__).parents[3] / "docs" / "cohorts.md").read_text(encoding="utf-8")
    toml, table = re.search(r"```toml\n(.*?)```", text, re.DOTALL), re.search(r"    (image,.*\n)    (.*\n)", text)
    assert toml
    assert table
    (tmp_path / "cohort.toml").write_text(toml[1], encoding="utf-8")
    (tmp_path / "labels.csv").write_text(table[1] + table[2], encoding="utf-8")

    cohort = read_cohort(tmp_path / "cohort.toml")

    assert cohort.tasks.names == ("age", "sex", "diabetes", "glaucoma", "cataract", "amd", "hypertension", "myopia")
    assert cohort.labels_NT.tolist() == [[69, 0, 0, 0, 1, 0, 0, 0]]
