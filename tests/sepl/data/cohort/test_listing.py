import pytest
from cohort_files import AGE, HEADER, SEX

from sepl.data.cohort.cohort import read_cohort
from sepl.errors import CohortError


def test_blank_lines_are_passed_over_and_counted(write):
    cohort = read_cohort(write(table="image,patient,eye,age,sex\na,1,L,1,M\n\nb,2,L,1,F\n,,,,\n"))

    assert cohort.rows.tolist() == [2, 4]


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
