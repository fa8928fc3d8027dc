"""Whatever stands in a cohort's files, it is read or refused in one line that repeats no patient's id."""

import io
import tempfile
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sepl.data.cohort.cohort import Cohort, read_cohort
from sepl.errors import CohortError

TOML = """
name = "fuzzed"
missing = [-9]
[[tables]]
path = "photos.csv"
per = "photograph"
image = "image"
patient = "patient"
eye = "eye"
visit = "visit"
[[tables]]
path = "{labs}"
per = "visit"
patient = "patient"
visit = "visit"
within_days = 3
[tasks]
age = { column = "age" }
sex = { column = "sex" }
glucose = { column = "gluc", unit = "mmol/L" }
old = "age > 60 and glucose < 200"
"""
SECRET = "Xantippe"
PHOTOS = f"""image;patient;eye;visit;age;sex
a.jpg;{SECRET}1;OD;01.02.2020;61;M
b.jpg;{SECRET}2;OS;03.02.2020;52,5;F
c.jpg;{SECRET}3;OD;20200207;70;w
d.jpg;{SECRET}4;OS;2020-02-09;<40;m
"""
LABS = f"""patient,visit,gluc
{SECRET}1,2020-02-01,5.4
{SECRET}2,2020-02-03,>14
{SECRET}3,2020-02-07,6.1
{SECRET}4,2020-02-09,5.0
"""
_PIECES = (
    *(
        b";",
        b",",
        b"\t",
        b'"',
        b"\n",
        b"\r",
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\xe9",
        b"\xc3",
        b"-9",
        b"1e999",
        b"<",
    ),
    *(
        b"99999999999999999999",
        b"nan",
        b"=1+1",
        b"sep=;\n",
        b"\xa0",
        b"31.02.2020",
        b"1,234",
        b"  ",
        b";;;;;;;;",
        b"#",
        b"",
    ),
)
pieces = st.sampled_from(_PIECES)
edits = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), pieces), min_size=1, max_size=6)


def edited(text, changes):
    data = text.encode()
    for place, length, piece in changes:
        start = int(place * len(data))
        data = data[:start] + piece + data[start + length :]
    return data


def read(photos, labs, name="labs.csv"):
    """The cohort, or None when it is refused; whoever is in it stays unnamed."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "cohort.toml").write_text(TOML.replace("{labs}", name))
        (Path(folder) / "photos.csv").write_bytes(photos)
        (Path(folder) / name).write_bytes(labs)
        cohort, problem = read_or_refuse(Path(folder) / "cohort.toml")
    headers = (photos.split(b"\n")[0] + labs.split(b"\n")[0]).decode("latin-1")
    assert "\n" not in problem
    assert SECRET not in problem or SECRET in headers  # what stands in a header is told as a column
    assert cohort is None or SECRET not in str(cohort.findings)
    return cohort


def read_or_refuse(path):
    """The cohort and no message, or the message."""
    try:
        return read_cohort(path), ""
    except CohortError as problem:
        return None, str(problem)


def check(cohort: Cohort | None):
    if cohort is not None:
        length = len(cohort.images)
        assert length >= 1
        assert cohort.labels_NT.shape == (length, 4)
        assert all(len(each) == length for each in (cohort.patients, cohort.eyes, cohort.visits, cohort.rows))
        assert all(cohort.patients)
        assert set(cohort.eyes) <= {"", "left", "right"}


def test_unedited_it_is_read():
    cohort = read(PHOTOS.encode(), LABS.encode())

    assert cohort is not None
    assert cohort.labels_NT[:, 3].tolist() == [1, 0, 1, 0]


@settings(max_examples=250, deadline=None)
@given(edits, st.booleans())
def test_an_edited_csv_is_read_or_refused(changes, is_photos):
    photos, labs = PHOTOS.encode(), LABS.encode()
    check(read(edited(PHOTOS, changes), labs) if is_photos else read(photos, edited(LABS, changes)))


def workbook():
    book = openpyxl.Workbook()
    assert book.active is not None
    for line in LABS.splitlines():
        book.active.append(line.split(","))
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=8)), min_size=1, max_size=4))
def test_a_damaged_workbook_is_read_or_refused(changes):
    data = workbook()
    for place, length, piece in changes:
        start = int(place * len(data))
        data = data[:start] + piece + data[start + length :]

    check(read(PHOTOS.encode(), data, "labs.xlsx"))


@settings(max_examples=150, deadline=None)
@given(edits)
def test_an_edited_cohort_file_is_read_or_refused(changes):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "cohort.toml").write_bytes(edited(TOML.replace("{labs}", "labs.csv"), changes))
        (Path(folder) / "photos.csv").write_text(PHOTOS)
        (Path(folder) / "labs.csv").write_text(LABS)
        cohort, problem = read_or_refuse(Path(folder) / "cohort.toml")
    assert bool(problem) == (cohort is None)
    assert cohort is None or len(cohort.images) == 4


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"\xff" * 1000, b"\n" * 10, b'"' * 1001, bytes(range(256)) * 4])
def test_what_is_no_table_is_refused(content):
    assert read(content, LABS.encode()) is None
    assert read(PHOTOS.encode(), content) is None
    assert read(PHOTOS.encode(), content, "labs.xlsx") is None
    assert read(PHOTOS.encode(), content, "labs.parquet") is None
