import numpy as np
import pytest
from cohort_files import noted, read_files, write_files
from dicoms import draw_fundus, write_dicom
from s3 import new_place, serve_s3

from sepl.data.cohort.cohort import read_cohort
from sepl.errors import CohortError
from sepl.storage import resolve

TOML = 'name = "d"\ntable = "t.csv"\n[tasks.age]\n[tasks.sex]\n'
FULL = {
    "PatientID": "P7",
    "PatientName": "Muster^Anna",
    "PatientBirthDate": "19500101",
    "PatientSex": "F",
    "PatientAge": "061Y",
    "AcquisitionDate": "20110305",
    "ImageLaterality": "R",
    "Manufacturer": "Topcon",
    "ManufacturerModelName": "NW400",
}


def dicom(**header):
    return write_dicom(draw_fundus(24, 24), header={**FULL, **header})


@pytest.fixture
def folder(tmp_path):
    """Where files are written by name, and the cohort is read."""

    def _write(**files):
        for name, source in files.items():
            (tmp_path / f"{name}.dcm").write_bytes(source)
        return tmp_path

    return _write


def test_headers_tell_what_no_table_says(folder):
    cohort = read_files(
        folder(a=dicom(), b=dicom(ImageLaterality="L")), cohort_toml=TOML.replace('table = "t.csv"\n', "")
    )

    assert cohort.images == ("a.dcm", "b.dcm")
    assert cohort.patients == ("P7", "P7")
    assert cohort.eyes == ("right", "left")
    assert cohort.visits == ("2011-03-05",) * 2
    assert cohort.cameras == ("Topcon NW400",) * 2
    assert cohort.labels_NT.tolist() == [[61, 0]] * 2
    assert cohort.rows.tolist() == [1, 2]
    assert cohort.findings == ()


def test_headers_fill_the_gaps_of_a_table(folder):
    toml = TOML.replace("[tasks.age]", '[columns]\neye = "eye"\nvisit = "date"\n[tasks.age]\ncolumn = "age"')
    table = "image,patient,eye,date,age\na.dcm,,,,\nb.dcm,P7,OS,5.3.2011,61\n"

    cohort = read_files(folder(a=dicom(), b=dicom(ImageLaterality="L")), cohort_toml=toml, t_csv=table)

    assert cohort.patients == ("P7", "P7")
    assert cohort.eyes == ("right", "left")
    assert cohort.visits == ("2011-03-05", "2011-03-05")
    assert cohort.labels_NT[:, 0].tolist() == [61, 61]
    assert cohort.findings == ()


def test_contradictions_are_found_and_the_table_stands(folder):
    toml = TOML.replace(
        "[tasks.age]\n[tasks.sex]",
        '[columns]\neye = "eye"\nvisit = "date"\n[tasks.age]\ncolumn = "age"\n[tasks.sex]\ncolumn = "sex"',
    )
    table = "image,patient,eye,date,age,sex\na.dcm,P7,OS,2012-01-01,65,M\nb.dcm,P7,OD,baseline,62,F\n"

    cohort = read_files(folder(a=dicom(), b=dicom()), cohort_toml=toml, t_csv=table)

    assert (cohort.eyes, cohort.visits) == (("left", "right"), ("2012-01-01", "baseline"))
    assert cohort.labels_NT.tolist() == [[65, 1], [62, 0]]
    assert noted(cohort) == [
        ("table and header differ", "t.csv", 2, column) for column in ("eye", "date", "age", "sex")
    ]


def test_a_file_of_another_patient_is_found_whatever_the_table_calls_patients(folder):
    files = {f"f{index}": dicom(PatientID=f"H{index // 2}") for index in range(6)}
    rows = "".join(f"f{index}.dcm,S{index // 2 if index != 3 else 0}\n" for index in range(6))

    cohort = read_files(folder(**files), cohort_toml=TOML, t_csv="image,patient\n" + rows)

    assert noted(cohort) == [("table and header differ", "t.csv", 5, "patient")]
    assert not any(text in str(cohort.findings) for text in ("H1", "S0", "Muster"))


def test_a_file_of_a_patient_whom_no_other_file_knows_is_found(folder):
    files = {"a": dicom(PatientID="H0"), "b": dicom(PatientID="H0"), "c": dicom(PatientID="H1")}

    cohort = read_files(folder(**files), cohort_toml=TOML, t_csv="image,patient\na.dcm,S0\nb.dcm,S0\nc.dcm,S0\n")

    assert noted(cohort) == [("table and header differ", "t.csv", 4, "patient")]


def test_an_age_declared_missing_is_missing_in_headers_too(folder):
    toml = TOML.replace("[tasks.age]", "[tasks.age]\nmissing = 1")

    cohort = read_files(folder(a=dicom(PatientAge="001Y")), cohort_toml=toml, t_csv="image,patient\na.dcm,1\n")

    assert np.isnan(cohort.labels_NT[0, 0])


@pytest.mark.parametrize(
    ("header", "age", "is_noted"),
    [
        ({"PatientAge": "045Y"}, 45, False),
        ({"PatientAge": "018M"}, 1.5, False),
        ({"PatientAge": "000D"}, 0, False),
        ({"PatientAge": "999Y", "PatientBirthDate": ""}, np.nan, True),
        ({"PatientAge": "000Y", "PatientBirthDate": ""}, np.nan, True),
        ({"PatientAge": "000Y", "PatientBirthDate": "19650310"}, 45, True),
        ({"PatientAge": "121Y", "PatientBirthDate": "19650310"}, 45, True),
        ({"PatientAge": "", "PatientBirthDate": "19000101"}, np.nan, True),
        ({"PatientAge": "", "PatientBirthDate": "18991230"}, np.nan, True),
        ({"PatientAge": "", "PatientBirthDate": "18500701"}, np.nan, True),
        ({"PatientAge": "", "PatientBirthDate": "20110305"}, 0, False),
        ({"PatientAge": "", "PatientBirthDate": ""}, np.nan, False),
        ({"PatientAge": "045Y", "PatientBirthDate": "19000101"}, 45, False),
    ],
)
def test_a_placeholder_is_no_age(folder, header, age, is_noted):
    cohort = read_files(folder(a=dicom(**header)), cohort_toml=TOML, t_csv="image,patient\na.dcm,P7\n")

    np.testing.assert_array_equal(cohort.labels_NT[0, 0], age)
    assert noted(cohort) == [("implausible value", "t.csv", 2, "age")] * is_noted


def test_a_placeholder_beside_an_age_of_the_table_is_not_noted(folder):
    toml = TOML.replace("[tasks.age]", '[tasks.age]\ncolumn = "age"')

    cohort = read_files(folder(a=dicom(PatientAge="999Y")), cohort_toml=toml, t_csv="image,patient,age\na.dcm,P7,61\n")

    assert cohort.labels_NT[0, 0] == 61
    assert cohort.findings == ()


def test_what_a_header_spells_as_absent_is_absent(folder):
    absent = {"PatientID": "NULL", "Manufacturer": "n/a", "ManufacturerModelName": "", "AcquisitionDate": "19000101"}

    cohort = read_files(folder(a=dicom(**absent), b=dicom()), cohort_toml=TOML.replace('table = "t.csv"\n', ""))

    assert (cohort.images, cohort.cameras) == (("b.dcm",), ("Topcon NW400",))
    assert noted(cohort) == [("row left out", "", 1, "patient")]


def test_a_placeholder_of_a_date_gives_way_to_the_next(folder):
    header = {"AcquisitionDate": "19000101", "AcquisitionDateTime": "20110306101500"}

    cohort = read_files(folder(a=dicom(**header)), cohort_toml=TOML, t_csv="image,patient\na.dcm,P7\n")

    assert cohort.visits == ("2011-03-06",)


def test_each_frame_is_a_photograph(folder):
    frames = write_dicom([draw_fundus(24, 24, seed) for seed in range(3)], header=FULL)

    cohort = read_files(folder(a=frames, b=dicom()), cohort_toml=TOML, t_csv="image,patient\na.dcm,P7\nb.dcm,P7\n")

    assert cohort.images == ("a.dcm", "a.dcm", "a.dcm", "b.dcm")
    assert cohort.frames.tolist() == [0, 1, 2, 0]
    assert cohort.rows.tolist() == [2, 2, 2, 3]
    assert cohort.labels_NT.shape == (4, 2)


def test_a_header_longer_than_the_first_look_is_read_whole(folder):
    long = dicom(ImageComments="x" * 10_000, ICCProfile=bytes(100_000))

    cohort = read_files(folder(a=long), cohort_toml=TOML, t_csv="image,patient\na.dcm,\n")

    assert (cohort.patients, cohort.labels_NT.tolist()) == (("P7",), [[61, 0]])


def test_a_damaged_or_absent_file_says_nothing(folder):
    table = "image,patient\na.dcm,1\nb.dcm,2\nc.dcm,3\n"

    cohort = read_files(folder(a=dicom()[:300], b=b"DICM"), cohort_toml=TOML, t_csv=table)

    assert np.isnan(cohort.labels_NT).all()
    assert cohort.patients == ("1", "2", "3")


def test_a_header_that_claims_a_million_frames_is_one_photograph(folder):
    cohort = read_files(folder(a=dicom(NumberOfFrames=999_999_999)), cohort_toml=TOML, t_csv="image,patient\na.dcm,1\n")

    assert cohort.frames.tolist() == [0]


def test_no_picture_of_another_kind_is_opened(folder, tmp_path):
    (tmp_path / "a.jpg").write_bytes(dicom())

    cohort = read_files(folder(), cohort_toml=TOML, t_csv="image,patient\na.jpg,1\n")

    assert cohort.eyes == ("",)


# --- the folder as the list


PATTERN = 'name = "p"\nimages = "pictures"\n[photographs]\npattern = \'(?P<patient>\\d+)_(?P<eye>[LR])\'\n[tasks.age]\n'


def test_a_folder_is_the_list_where_its_names_tell_the_patient(tmp_path):
    for name in ("007_L.jpg", "sub/008_R.PNG", "8_R.txt", ".hidden_1_L.jpg", "Thumbs.db", "sub/009.jpg"):
        (tmp_path / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pictures" / name).write_bytes(b"x")

    cohort = read_files(tmp_path, cohort_toml=PATTERN)

    assert cohort.images == ("007_L.jpg", "sub/008_R.PNG")
    assert (cohort.patients, cohort.eyes) == (("007", "008"), ("left", "right"))
    assert noted(cohort) == [("pattern", "", 0, "image"), ("row left out", "", 3, "patient")]


def test_a_pattern_fills_the_gaps_of_a_table(tmp_path):
    (tmp_path / "pictures").mkdir()
    toml = PATTERN.replace("images", 'table = "t.csv"\nimages').replace(
        "[photographs]", '[columns]\neye = "eye"\n[photographs]'
    )

    cohort = read_files(tmp_path, cohort_toml=toml, t_csv="image,patient,eye\n1_L.jpg,one,\n2_L.jpg,,R\n")

    assert (cohort.patients, cohort.eyes) == (("one", "2"), ("left", "right"))


def test_what_a_name_spells_as_absent_is_absent(tmp_path):
    (tmp_path / "pictures").mkdir()
    for name in ("7_north_L.jpg", "NA_north_L.jpg", "8_none_R.jpg"):
        (tmp_path / "pictures" / name).write_bytes(b"x")
    pattern = "pattern = '(?P<patient>[^_]+)_(?P<site>[^_]+)_(?P<eye>[LR])'"
    toml = f'name = "p"\nimages = "pictures"\n[photographs]\n{pattern}\n[tasks.age]\n'

    cohort = read_files(tmp_path, cohort_toml=toml)

    assert (cohort.patients, cohort.sites) == (("7", "8"), ("north", ""))


def test_an_empty_folder_is_told(tmp_path):
    (tmp_path / "pictures").mkdir()

    with pytest.raises(CohortError, match=r"pictures: should hold photographs \(JPEG, PNG, TIFF, DICOM\), holds none"):
        read_files(tmp_path, cohort_toml=PATTERN)


def test_names_that_tell_no_patient_are_refused_together(tmp_path):
    (tmp_path / "pictures").mkdir()
    for number in range(4):
        (tmp_path / "pictures" / f"IMG{number}.jpg").write_bytes(b"x")

    with pytest.raises(CohortError, match=r"pictures, patient, row 1 should be filled, as 4 of 4 rows should"):
        read_files(tmp_path, cohort_toml=PATTERN)


def test_a_task_without_column_needs_no_table_but_others_do(tmp_path):
    (tmp_path / "pictures").mkdir()
    path = write_files(tmp_path, cohort_toml=PATTERN + '[tasks.sbp]\ncolumn = "sbp"\n')

    with pytest.raises(CohortError, match=r"tasks.sbp.column needs a table, the cohort file names none"):
        read_cohort(path)


def test_photographs_in_s3_are_listed_and_their_headers_read(tmp_path):
    with serve_s3() as endpoint:
        _check_s3(tmp_path, new_place(endpoint))


def _check_s3(tmp_path, s3):
    place = resolve(s3)
    (place / "sub" / "a.dcm").write_bytes(dicom())
    (place / "b.dcm").write_bytes(dicom(PatientID="P8", ImageLaterality="L"))

    cohort = read_files(tmp_path, cohort_toml=f'name = "s"\nimages = "{s3}"\n[tasks.age]\n[tasks.sex]\n')

    assert cohort.images == ("b.dcm", "sub/a.dcm")
    assert (cohort.patients, cohort.eyes) == (("P8", "P7"), ("left", "right"))
    assert cohort.images_folder.uri == s3
