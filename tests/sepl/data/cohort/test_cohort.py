import numpy as np
import pandas as pd
import pytest

from sepl.data.cohort.cohort import read_cohort
from sepl.errors import CohortError

HEADER = 'name = "c"\ntable = "labels.csv"\n[columns]\nimage = "image"\npatient = "patient"\neye = "eye"\n'
AGE = '[tasks.age]\ncolumn = "age"\n'
SEX = '[tasks.sex]\ncolumn = "sex"\nmale = "M"\nfemale = "F"\n'
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
    assert cohort.eyes == ("left", "right", "left")
    assert cohort.visits == cohort.sites == cohort.cameras == ("", "", "")
    assert cohort.frames.tolist() == [0, 0, 0]
    assert cohort.findings == ()
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


def test_one_unknown_sex_is_absent_and_a_finding(write):
    cohort = read_cohort(write(table="image,patient,eye,age,sex\na,1,L,1,M\nb,2,L,1,Robin\n"))

    np.testing.assert_array_equal(cohort.labels_NT[:, 1], [1, np.nan])
    assert [(finding.kind, finding.row, finding.column, finding.table) for finding in cohort.findings] == [
        ("unknown value", 3, "sex", "labels.csv")
    ]


def test_a_column_that_is_no_sex_is_refused_without_its_text(write):
    rows = "".join(f"{name},{name},L,1,{name}\n" for name in ("anna", "bert", "carl", "dora"))

    with pytest.raises(CohortError, match=r"labels.csv, column 'sex', row 2 should be a sex .*4 of 4 filled") as caught:
        read_cohort(write(table="image,patient,eye,age,sex\n" + rows))
    assert "anna" not in str(caught.value)


def test_values_that_mean_one_can_be_named(write):
    toml = HEADER + '[tasks.dr]\ncolumn = "grade"\nkind = "binary"\npositive = [2, 3, "PDR"]\n'

    cohort = read_cohort(write(toml, "image,patient,eye,grade\na,1,L,0\nb,1,R,2.0\nc,2,L,pdr\nd,3,L,\n"))

    np.testing.assert_array_equal(cohort.labels_NT[:, 0], [0, 1, 1, np.nan])


def test_one_value_that_means_one_needs_no_list(write):
    toml = HEADER + '[tasks.sex]\ncolumn = "sex"\npositive = "Homme"\n'

    cohort = read_cohort(write(toml, "image,patient,eye,sex\na,1,L,Homme\nb,2,L,Femme\n"))

    assert cohort.labels_NT[:, 0].tolist() == [1, 0]


def test_with_both_sides_named_a_third_value_is_absent(write):
    toml = HEADER + '[tasks.sex]\ncolumn = "sex"\npositive = "Homme"\nnegative = "Femme"\n'

    cohort = read_cohort(write(toml, "image,patient,eye,sex\na,1,L,Homme\nb,2,L,Hmme\n"))

    np.testing.assert_array_equal(cohort.labels_NT[:, 0], [1, np.nan])
    assert [(finding.row, finding.detail) for finding in cohort.findings] == [(3, "should be one of Homme, Femme")]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("1280", "implausible value"),
        ("-1", "implausible value"),
        ("high", "not a number"),
        ("inf", "not a number"),
    ],
)
def test_a_wrong_value_is_absent_and_a_finding(write, value, kind):
    toml = HEADER + '[tasks.sbp]\ncolumn = "sbp"\n'

    cohort = read_cohort(write(toml, f"image,patient,eye,sbp\na,1,L,120\nb,2,L,{value}\nc,3,L,130\n"))

    np.testing.assert_array_equal(cohort.labels_NT[:, 0], [120, np.nan, 130])
    assert [(finding.kind, finding.row, finding.column) for finding in cohort.findings] == [(kind, 3, "sbp")]


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
    "patients lost in an export": (
        "image,patient,eye,age,sex\na,nan,L,1,M\nb,1,L,1,M\nc,,L,1,M\nd,NA,L,1,M\n",
        r"labels.csv, column 'patient', row 2 should be filled, as 3 of 4 rows should",
    ),
    "the one patient lost": ("image,patient,eye,age,sex\na, ,L,1,M\n", r"labels.csv: no usable row, none names a ph"),
    "images lost": (
        "image,patient,eye,age,sex\n,1,L,1,M\n,2,L,1,M\n,3,L,1,M\n",
        r"labels.csv, column 'image', row 2 should be filled",
    ),
    "a column named twice": (
        "image,patient,eye,age,age,sex\na,1,L,1,1,M\n",
        r"tasks.age.column should be one column of .*labels.csv, 'age' stands over more than one",
    ),
    "no rows": ("image,patient,eye,age,sex\n", r"labels.csv: no usable row"),
    "no header": ("a.jpg,Anna,L,1,M\nb.jpg,Bert,L,1,M\n", r"labels.csv: none of the columns .* stands in its header"),
    "a quotation mark left open": (
        'image,patient,"eye,age,sex\n' + "a.jpg,Anna,L,1,M\n" * 20,
        r"labels.csv: cannot be read as csv: unexpected end of data",
    ),
    "a quotation mark closed far below": (
        'image,patient,"eye,age,sex\n' + "a.jpg,Anna,L,1,M\n" * 3 + '"a.jpg,Anna,L,1,M\n',
        r"labels.csv: cannot be read as csv: ",
    ),
    "a name of many lines": (
        'image,patient,"eye\na.jpg,Anna,L,1,M\nb.jpg,Anna,L,1,M\nc.jpg,Anna,L,1,M\n",age,sex\n1,1,1,1,1\n',
        r"labels.csv: cannot be read as csv: a column's name should have at most 200 characters on 3 lines",
    ),
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
        r"labels.csv: cannot be read as csv: row 3 has more fields",
    ),
}


@pytest.mark.parametrize("case", WRONG_TABLES)
def test_a_wrong_table_is_one_clear_line(write, case):
    table, message = WRONG_TABLES[case]

    with pytest.raises(CohortError, match=message) as caught:
        read_cohort(write(table=table))
    assert "\n" not in str(caught.value)
    assert "Anna" not in str(caught.value)


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
        HEADER + AGE + 'kind = "binary"\n',
        r"\[tasks.age\]: age is built in and has its own kind",
    ),
    "an unknown unit": (
        HEADER + AGE + 'unit = "furlong"\n',
        r"\[tasks.age\]: unit should be one of y, months, days, was 'furlong'",
    ),
    "a unit of sex": (HEADER + SEX + 'unit = "y"\n', r"\[tasks.sex\]: sex has no unit"),
    "a missing column": (HEADER + "[tasks.sbp]\n", r"\[tasks.sbp\]: column is missing"),
    "a rule that is none": (
        HEADER + AGE + 'old = "age is 60"\n'.replace("old", "[tasks.old]\nwhen"),
        "should be made of",
    ),
    "a rule of something unknown": (
        HEADER + AGE + '[tasks.ht]\nwhen = "sbp > 140"\n',
        r"\[tasks.ht\]: when should compare age, was 'sbp'",
    ),
    "rules in a circle": (
        HEADER + AGE + '[tasks.a]\nwhen = "b == 1"\n[tasks.b]\nwhen = "a == 1"\n',
        r"when should not lead back to itself, did by a → b → a",
    ),
    "a rule with a column": (
        HEADER + AGE + '[tasks.a]\nwhen = "age > 1"\ncolumn = "age"\n',
        r"\[tasks.a\]: a task with when is binary and has no column",
    ),
    "a rule in place of a built-in task": (HEADER + AGE + '[tasks.sex]\nwhen = "age > 1"\n', "sex is built in"),
    "a pattern that is none": (
        HEADER + AGE + '[photographs]\npattern = "(?P<patient>"\n',
        "photographs.pattern should be a regular expression",
    ),
    "a pattern that tells nothing": (HEADER + AGE + '[photographs]\npattern = "x"\n', "should have groups"),
    "table and tables": (HEADER + AGE + '[[tables]]\npath = "x.csv"\nper = "patient"\npatient = "p"\n', "exclude"),
    "an unknown measure": (HEADER + AGE + "[quality]\nbeauty = {}\n", "unknown key quality.beauty"),
    "an unknown way to split": (HEADER + AGE + "[split]\nat_random = true\n", "unknown key split.at_random"),
    "a misspelled key": (
        HEADER + AGE + 'unit = "months"\ntrust = 1\n',
        r"unknown key tasks.age.trust",
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
    "no table": (HEADER.replace("labels.csv", "cohort.toml") + AGE, "should be .csv, .tsv, .txt, .parquet or .xlsx"),
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


def test_a_file_in_latin_1_is_read_and_told(write, tmp_path):
    path = write()
    (tmp_path / "labels.csv").write_bytes("image,patient,eye,age,sex\na,Müller,L,1,M\n".encode("latin-1"))

    cohort = read_cohort(path)

    assert cohort.patients == ("Müller",)
    assert [(finding.kind, finding.row) for finding in cohort.findings] == [("encoding", 0)]
    assert "cp1252" in cohort.findings[0].detail


def test_a_byte_order_mark_is_no_part_of_the_first_column(write):
    assert read_cohort(write(table="\ufeff" + TABLE)).images[0] == "a.jpg"


def test_a_row_without_patient_is_left_out(write):
    cohort = read_cohort(write(table="image,patient,eye,age,sex\na,1,L,1,M\nb, ,L,1,M\n,3,L,1,M\nd,4,L,1,M\n"))

    assert cohort.images == ("a", "d")
    assert [(finding.kind, finding.row, finding.column) for finding in cohort.findings] == [
        ("row left out", 4, "image"),
        ("row left out", 3, "patient"),
    ]


def test_a_photograph_named_twice_counts_once(write):
    cohort = read_cohort(write(table="image,patient,eye,age,sex\na,1,L,1,M\nb,1,L,1,M\n./a,1,L,1,M\n"))

    assert cohort.rows.tolist() == [2, 3]
    assert [finding.detail for finding in cohort.findings] == ["the photograph of row 2 again"]


def test_a_photograph_of_two_patients_is_nobodys(write):
    cohort = read_cohort(write(table="image,patient,eye,age,sex\na,1,L,1,M\nb,1,L,1,M\na,2,L,1,M\n"))

    assert cohort.rows.tolist() == [3]
    assert [finding.row for finding in cohort.findings] == [4]


def test_windows_paths_lead_below_the_folder(write):
    assert read_cohort(write(table="image,patient,eye,age,sex\nIMG\\a.jpg,1,L,1,M\n")).images == ("IMG/a.jpg",)


def test_a_rule_makes_a_task_whose_inputs_are_never_its_priors(write):
    toml = (
        HEADER
        + SEX
        + AGE
        + '[tasks.sbp]\ncolumn = "sbp"\n[inputs.drug]\ncolumn = "drug"\nkind = "binary"\n'
        + '[tasks.hypertension]\nwhen = "sbp >= 140 or drug == 1"\n'
        + '[tasks.worse]\nwhen = "hypertension == 1 and age > 60"\n'
    )
    table = (
        "image,patient,eye,age,sex,sbp,drug\na,1,L,70,M,150,0\nb,2,L,50,M,120,yes\nc,3,L,70,F,120,no\nd,4,L,70,F,,no\n"
    )

    cohort = read_cohort(write(toml, table))

    assert cohort.tasks.names == ("sex", "age", "sbp", "hypertension", "worse")
    np.testing.assert_array_equal(cohort.labels_NT[:, 3], [1, 1, 0, np.nan])
    np.testing.assert_array_equal(cohort.labels_NT[:, 4], [1, 0, 0, np.nan])
    assert cohort.tasks["hypertension"].derived_from == ("sbp",)
    assert cohort.tasks["worse"].derived_from == ("hypertension", "sbp", "age")


def test_a_rule_may_be_written_in_short(write):
    toml = HEADER.replace("[columns]", '[tasks]\nold = "age >= 60"\nage = { column = "age" }\n[columns]')

    cohort = read_cohort(write(toml))

    np.testing.assert_array_equal(cohort.labels_NT, [[1, 61], [1, 61], [np.nan, np.nan]])


def test_sections_for_photographs_quality_and_split_are_handed_on(write):
    sections = (
        "[photographs]\nclahe = true\nmirror_left = true\nfield_of_view = false\n"
        '[quality]\nsharpness = {low = 1.5}\n[split]\nexternal_test_sites = ["north"]\n'
    )

    cohort = read_cohort(write(HEADER + AGE + sections))

    assert (cohort.clahe, cohort.mirror_left, cohort.field_of_view) == (True, True, False)
    assert cohort.quality.sharpness.low == 1.5
    assert cohort.split.external_test_sites == ("north",)


MIRROR = "[photographs]\nmirror_left = true\n"


def test_mirroring_without_any_eye_is_refused(write):
    toml = (HEADER.replace('eye = "eye"\n', "") + AGE) + MIRROR

    with pytest.raises(CohortError, match=r"labels.csv, eye, row 2 should be filled, as 3 of 3 .*mirror_left needs it"):
        read_cohort(write(toml=toml))


def test_a_photograph_of_no_known_eye_is_left_out_where_left_eyes_are_mirrored(write):
    rows = "".join(f"{index}.jpg,{index},{'LR'[index % 2]},1,M\n" for index in range(8))
    table = f"image,patient,eye,age,sex\n{rows}8.jpg,8,OU,1,M\n9.jpg,9,,1,M\n"

    plain = read_cohort(write(table=table))
    mirrored = read_cohort(write(toml=HEADER + AGE + SEX + MIRROR, table=table))

    assert (len(plain.images), len(mirrored.images)) == (10, 8)
    assert [(each.kind, each.row, each.column, each.detail) for each in mirrored.findings] == [
        ("unknown eye", 10, "eye", "neither left nor right"),
        ("row left out", 10, "eye", "no eye, which mirror_left needs"),
        ("row left out", 11, "eye", "no eye, which mirror_left needs"),
    ]
