import numpy as np
import pandas as pd
import pytest
from cohort_files import AGE, HEADER, SEX

from sepl.data.cohort.cohort import read_cohort
from sepl.errors import CohortError


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
