import tempfile
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from cohort_files import noted, read_files
from hypothesis import given, settings
from hypothesis import strategies as st

from sepl.errors import CohortError

TOML = """
name = "joined"

[[tables]]
path = "photos.csv"
per = "photograph"
image = "file"
patient = "pid"
eye = "side"
visit = "taken"
camera = "device"

[[tables]]
path = "labs.csv"
per = "visit"
patient = "pid"
visit = "drawn"

[[tables]]
path = "people.csv"
per = "patient"
patient = "id"
site = "hospital"

[tasks.sex]
column = "sex"
male = "M"
female = "F"
[tasks.age]
column = "age"
[tasks.hba1c]
column = "hba1c"
"""
PHOTOS = """file,pid,side,taken,device,age
a.jpg,1,OD,2020-01-05,Topcon,60
b.jpg,1,OS,2020-01-05,Topcon,60
c.jpg,1,OD,2022-01-05,Canon,62
d.jpg,2,OD,2021-06-01,Canon,40
"""
LABS = "pid;drawn;hba1c\n1;05.01.2020;5,6\n1;05.01.2022;6,1\n2;01.06.2021;5,0\n"
PEOPLE = "id,hospital,sex\n1,north,M\n2,south,F\n"


def read(folder, toml=TOML, photos=PHOTOS, labs=LABS, people=PEOPLE):
    return read_files(folder, cohort_toml=toml, photos_csv=photos, labs_csv=labs, people_csv=people)


def test_three_tables_are_joined(tmp_path):
    cohort = read(tmp_path)

    assert cohort.images == ("a.jpg", "b.jpg", "c.jpg", "d.jpg")
    assert cohort.eyes == ("right", "left", "right", "right")
    assert cohort.visits == ("2020-01-05", "2020-01-05", "2022-01-05", "2021-06-01")
    assert cohort.sites == ("north", "north", "north", "south")
    assert cohort.cameras == ("Topcon", "Topcon", "Canon", "Canon")
    np.testing.assert_array_equal(cohort.labels_NT, [[1, 60, 5.6], [1, 60, 5.6], [1, 62, 6.1], [0, 40, 5.0]])
    assert cohort.findings == ()


def test_photographs_without_a_row_keep_absent_labels(tmp_path):
    cohort = read(
        tmp_path, labs="pid;drawn;hba1c\n1;05.01.2020;5,6\n9;05.01.2022;6,1\n", people="id,hospital,sex\n1,north,M\n"
    )

    np.testing.assert_array_equal(cohort.labels_NT, [[1, 60, 5.6], [1, 60, 5.6], [1, 62, np.nan], [np.nan, 40, np.nan]])
    assert cohort.sites == ("north", "north", "north", "")
    assert noted(cohort) == [
        ("photographs without a row", "labs.csv", 0, "pid"),
        ("rows without a photograph", "labs.csv", 0, "pid"),
        ("photographs without a row", "people.csv", 0, "id"),
    ]
    assert cohort.findings[0].detail == "2 of 4 photographs have no row of their patient and visit"


def test_a_repeated_row_counts_once_and_contradictions_are_absent(tmp_path):
    cohort = read(tmp_path, people="id,hospital,sex\n1,north,M\n2,south,F\n1,north,F\n")

    np.testing.assert_array_equal(cohort.labels_NT[:, 0], [np.nan, np.nan, np.nan, 0])
    assert cohort.sites == ("north", "north", "north", "south")
    assert noted(cohort) == [("row repeated", "people.csv", 4, "")]


def test_rows_without_their_key_are_left_out(tmp_path):
    cohort = read(tmp_path, people=PEOPLE + ",west,M\n")

    assert noted(cohort) == [("row left out", "people.csv", 4, "id")]


def test_a_table_of_eyes_is_joined_by_the_eye_as_well(tmp_path):
    toml = TOML.replace('visit = "drawn"', 'visit = "drawn"\neye = "eye"')
    labs = "pid;drawn;eye;hba1c\n1;05.01.2020;rechts;5,6\n1;05.01.2020;links;6,1\n"

    cohort = read(tmp_path, toml=toml, labs=labs)

    np.testing.assert_array_equal(cohort.labels_NT[:, 2], [5.6, 6.1, np.nan, np.nan])


WRONG = {
    "ids spelled otherwise": (
        {"people": "id,hospital,sex\nP1,north,M\nP2,south,F\n"},
        r"people.csv: none of its 2 rows has the patient of a photograph$",
    ),
    "zeros lost": (
        {"people": "id,hospital,sex\n001,north,M\n002,south,F\n"},
        r"people.csv: none of its 2 rows .* \(patients would match without leading zeros .*; say ignore_zeros",
    ),
    "visits in a table of patients": (
        {"people": "id,hospital,sex\n" + "1,north,M\n" * 3 + "2,south,F\n" * 3},
        r"people.csv: a table per patient should have one row for each patient, 4 of 6 rows repeat one",
    ),
    "a column of two tables": (
        {"people": "id,hospital,sex,age\n1,north,M,60\n"},
        r"tasks.age.column 'age' stands in photos.csv, people.csv; say table",
    ),
    "a column of no table": (
        {"people": "id,hospital,gender\n1,north,M\n"},
        r"tasks.sex.column should be a column of a table \(photos.csv: file, pid.*gender\), was 'sex'",
    ),
    "a key column that is none": (
        {"people": "number,hospital,sex\n1,north,M\n"},
        r"tables, people.csv.patient should be a column of .*people.csv \(number, hospital, sex\), was 'id'",
    ),
    "an empty table": ({"labs": "pid;drawn;hba1c\n"}, r"labs.csv: no usable row, the table is empty"),
    "a table that is not listed": (
        {"toml": TOML.replace('column = "sex"', 'column = "sex"\ntable = "who.csv"')},
        r"tasks.sex.table should be one of photos.csv, labs.csv, people.csv, was 'who.csv'",
    ),
    "a table without its keys": (
        {"toml": TOML.replace('visit = "drawn"', "")},
        r"a table per visit needs the columns patient, visit; lacking: visit",
    ),
    "a table twice": (
        {"toml": TOML + '[[tables]]\npath = "people.csv"\nper = "patient"\npatient = "id"\n'},
        r"\[\[tables\]\] of one file, such as sheets, need a name each; twice: people.csv",
    ),
    "days of no visit": (
        {"toml": TOML.replace('site = "hospital"', "within_days = 3")},
        r"within_days is for a table per visit",
    ),
    "two tables of photographs": (
        {"toml": TOML + '[[tables]]\npath = "p.csv"\nper = "photograph"\nimage = "file"\n'},
        r"at most one of \[\[tables\]\] should be per photograph",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_joined_is_one_clear_line(tmp_path, case):
    files, message = WRONG[case]

    with pytest.raises(CohortError, match=message) as caught:
        read(tmp_path, **files)
    assert "\n" not in str(caught.value)


def test_a_column_of_two_tables_is_told_by_its_table(tmp_path):
    toml = TOML.replace('column = "age"', 'column = "age"\ntable = "people.csv"')

    cohort = read(tmp_path, toml=toml, people="id,hospital,sex,age\n1,north,M,50\n2,south,F,30\n")

    assert cohort.labels_NT[:, 1].tolist() == [50, 50, 50, 30]


def test_dates_that_can_be_read_both_ways_are_told(tmp_path):
    labs = "pid;drawn;hba1c\n1;01/05/2020;5,6\n1;01/05/2022;6,1\n2;06/01/2021;5,0\n"

    with pytest.raises(CohortError, match=r"labs.csv: none of its 3 rows has the patient and visit"):
        read(tmp_path, labs=labs)
    cohort = read(tmp_path, toml=TOML.replace('visit = "drawn"', 'visit = "drawn"\ndates = "mdy"'), labs=labs)

    assert cohort.labels_NT[:, 2].tolist() == [5.6, 5.6, 6.1, 5.0]


def test_two_sheets_of_a_workbook_are_two_tables(tmp_path):
    book = openpyxl.Workbook()
    book.remove(book["Sheet"])
    for title, rows in {"old": [["id", "sex"], ["1", "M"]], "new": [["id", "sex"], ["2", "F"]]}.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(tmp_path / "people.xlsx")
    sheets = "".join(
        f'[[tables]]\npath = "people.xlsx"\nsheet = "{title}"\nname = "{title}"\nper = "patient"\npatient = "id"\n'
        for title in ("old", "new")
    )
    toml = (
        TOML.partition('[[tables]]\npath = "people.csv"')[0]
        + sheets
        + '[tasks.sex]\ncolumn = "sex"\ntable = "new"\nfemale = "F"\n'
    )

    cohort = read(tmp_path, toml=toml)

    np.testing.assert_array_equal(cohort.labels_NT[:, 0], [np.nan, np.nan, np.nan, 0])
    with pytest.raises(CohortError, match=r"tasks.sex.column 'sex' stands in old, new; say table"):
        read(tmp_path, toml=toml.replace('table = "new"', ""))


DAYS = {
    "the same day": ("2020-01-05", "2020-01-05", True),
    "the day after": ("2020-01-06", "2020-01-05", True),
    "a fortnight before": ("2020-01-05", "2020-01-19", True),
    "a day more": ("2020-01-05", "2020-01-20", False),
    "no date": ("baseline", "2020-01-05", False),
}


@pytest.mark.parametrize("case", DAYS)
def test_the_nearest_visit_within_so_many_days_is_taken(tmp_path, case):
    taken, drawn, is_joined = DAYS[case]
    toml = TOML.replace('visit = "drawn"', 'visit = "drawn"\nwithin_days = 14')
    photos = f"file,pid,side,taken,device,age\na.jpg,1,OD,{taken},x,60\nb.jpg,2,OD,2021-06-01,x,60\n"

    cohort = read(tmp_path, toml=toml, photos=photos, labs=f"pid;drawn;hba1c\n1;{drawn};5,6\n2;01.06.2021;5,0\n")

    np.testing.assert_array_equal(cohort.labels_NT[:, 2], [5.6 if is_joined else np.nan, 5.0])


def test_of_two_visits_the_nearer_is_taken_and_the_earlier_of_two_as_near(tmp_path):
    toml = TOML.replace('visit = "drawn"', 'visit = "drawn"\nwithin_days = 30')
    labs = "pid;drawn;hba1c\n1;2020-01-01;5,6\n1;2020-01-09;6,1\n1;2022-01-06;6,6\n1;2022-01-20;7,1\n"

    cohort = read(tmp_path, toml=toml, labs=labs)

    np.testing.assert_array_equal(cohort.labels_NT[:, 2], [5.6, 5.6, 6.6, np.nan])


patients = st.integers(1, 4)
visits = st.integers(1, 3)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(patients, visits), min_size=1, max_size=12),
    st.dictionaries(st.tuples(patients, visits), st.integers(40, 80), max_size=12),
    st.dictionaries(patients, st.sampled_from("MF"), max_size=4),
)
def test_a_photograph_keeps_exactly_one_row_with_its_own_values(photographs, labs, people):
    photos = "".join(f"{index}.jpg,{pid},OD,{visit},x,50\n" for index, (pid, visit) in enumerate(photographs))
    texts = {
        "photos": "file,pid,side,taken,device,age\n" + photos,
        "labs": "pid;drawn;hba1c\n"
        + "".join(f"{pid};{visit};{value / 10:g}\n" for (pid, visit), value in labs.items()),
        "people": "id,hospital,sex\n" + "".join(f"{pid},h{pid},{sex}\n" for pid, sex in people.items()),
    }
    joinable = any(key in labs for key in photographs) and any(pid in people for pid, _ in photographs)
    with tempfile.TemporaryDirectory() as folder:
        if not joinable:
            with pytest.raises(CohortError, match=r"none of its|the table is empty"):
                read(Path(folder), **texts)
            return
        cohort = read(Path(folder), **texts)

    assert cohort.images == tuple(f"{index}.jpg" for index in range(len(photographs)))
    for (pid, visit), (sex, _, hba1c) in zip(photographs, cohort.labels_NT, strict=True):
        assert np.isnan(hba1c) if (pid, visit) not in labs else hba1c == labs[pid, visit] / 10
        assert np.isnan(sex) if pid not in people else sex == (people[pid] == "M")
