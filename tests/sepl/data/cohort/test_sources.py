import pytest
from cohort_files import TABLE

from sepl.data.cohort.cohort import read_cohort
from sepl.errors import CohortError

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


def test_a_file_in_latin_1_is_read_and_told(write, tmp_path):
    path = write()
    (tmp_path / "labels.csv").write_bytes("image,patient,eye,age,sex\na,Müller,L,1,M\n".encode("latin-1"))

    cohort = read_cohort(path)

    assert cohort.patients == ("Müller",)
    assert [(finding.kind, finding.row) for finding in cohort.findings] == [("encoding", 0)]
    assert "cp1252" in cohort.findings[0].detail


def test_a_byte_order_mark_is_no_part_of_the_first_column(write):
    assert read_cohort(write(table="\ufeff" + TABLE)).images[0] == "a.jpg"
