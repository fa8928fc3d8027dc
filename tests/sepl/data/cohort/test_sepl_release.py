import numpy as np
import pytest
from dicoms import draw_fundus, write_dicom

from sepl.data.cohort.cohort import read_cohort
from sepl.errors import CohortError
from sepl.tasks import CARDIOMETABOLIC_TASKS, SEPL_RELEASE_COLUMNS

TOML = 'name = "released"\nlayout = "sepl-release"\ntable = "labels.csv"\nimages = "dicom"\n'
COLUMNS = ["ID", "subid", "ODT", *SEPL_RELEASE_COLUMNS.values(), "µ"]
VALUES = [175, 70, 22.9, 80, 120, 75, 190, 95, 110, 5.5, 14, 0.9, 5.1, "x"]


def row(number: int, subid: str = "S1", date: str = "2015-03-01", sex: str = "M", age: float = 54) -> str:
    return ",".join(map(str, [number, subid, date, sex, age, *VALUES]))


def header_of(folder):
    patient, date, sex, age = folder.split("_")
    return {"PatientID": patient, "AcquisitionDate": date, "PatientSex": sex, "PatientAge": f"{age:0>3}Y"}


@pytest.fixture
def release(tmp_path):
    """Writes table and folders and reads the cohort; `folders` maps a folder's name to its files."""

    def _read(rows, folders):
        (tmp_path / "cohort.toml").write_text(TOML)
        (tmp_path / "labels.csv").write_bytes("\n".join([",".join(COLUMNS), *rows, ""]).encode("iso-8859-1"))
        (tmp_path / "dicom").mkdir()
        for name, files in folders.items():
            (tmp_path / "dicom" / name).mkdir()
            for file, eye in files.items():
                header = {**header_of(name), "ImageLaterality": eye}
                (tmp_path / "dicom" / name / file).write_bytes(write_dicom(draw_fundus(24, 24), header=header))
        return read_cohort(tmp_path / "cohort.toml")

    return _read


BOTH = {"1.dcm": "R", "2.dcm": "L"}


def test_both_eyes_are_read_in_either_spelling_of_the_date(release):
    cohort = release(
        [row(0), row(1), row(0, "S2", "12/24/2016", "F", 61.0), row(1, "S2", "12/24/2016", "F", 61.0)],
        {"S1_20150301_M_54": BOTH, "S2_20161224_F_61": BOTH},
    )

    assert cohort.images == (
        "S1_20150301_M_54/1.dcm",
        "S1_20150301_M_54/2.dcm",
        "S2_20161224_F_61/1.dcm",
        "S2_20161224_F_61/2.dcm",
    )
    assert cohort.patients == ("S1", "S1", "S2", "S2")
    assert cohort.eyes == ("right", "left", "right", "left")
    assert cohort.visits == ("2015-03-01", "2015-03-01", "2016-12-24", "2016-12-24")
    assert cohort.tasks.names == tuple(task.name for task in CARDIOMETABOLIC_TASKS)
    np.testing.assert_array_equal(cohort.labels_NT[0], [1, 54, *VALUES[:-1]])
    assert cohort.findings == ()
    assert cohort.rows.tolist() == [2, 3, 4, 5]


DEFECTS = {
    "no folder": ([row(0, "S9")], {}, "ODT", "no folder of this patient and date", 0),
    "another date": ([row(0, "S2", "2015-03-02")], {"S2_20150301_M_54": BOTH}, "ODT", "no folder", 0),
    "no such eye": ([row(2, "S2")], {"S2_20150301_M_54": BOTH}, "ID", "should be 0 or 1", 0),
    "one photograph for two eyes": (
        [row(0, "S2"), row(1, "S2")],
        {"S2_20150301_M_54": {"x.dcm": "R"}},
        "ID",
        "its folder holds one photograph",
        1,
    ),
    "a third photograph": (
        [row(0, "S2")],
        {"S2_20150301_M_54": {**BOTH, "3.dcm": "R"}},
        "ID",
        "3 files in the folder",
        1,
    ),
    "another age": ([row(0, "S2")], {"S2_20150301_M_55": BOTH}, "AGE", "the folder's name says another sex or age", 1),
    "two folders": (
        [row(0, "S2", age=56)],
        {"S2_20150301_M_54": BOTH, "S2_20150301_M_55": BOTH},
        "ODT",
        "more than one folder",
        0,
    ),
    "no DICOM in the folder": ([row(0, "S2")], {"S2_20150301_M_54": {"a.txt": "R"}}, "ODT", "no folder", 0),
}


@pytest.mark.parametrize("case", DEFECTS)
def test_a_defect_is_a_finding(release, case):
    rows, folders, column, detail, num_read = DEFECTS[case]

    cohort = release([row(0), row(1), *rows], {"S1_20150301_M_54": BOTH, **folders})

    found = [each for each in cohort.findings if each.column == column and each.kind != "table and header differ"]
    assert len(cohort.images) == 2 + num_read
    assert [each.detail[: len(detail)] for each in found if each.row >= 4][-1] == detail


def test_a_patient_with_one_eye_keeps_it(release):
    cohort = release([row(1)], {"S1_20150301_M_54": {"only.dcm": "L"}})

    assert (cohort.images, cohort.eyes) == (("S1_20150301_M_54/only.dcm",), ("left",))


def test_the_folder_with_the_rows_own_sex_and_age_is_meant(release):
    cohort = release([row(0)], {"S1_20150301_M_54": BOTH, "S1_20150301_F_54": BOTH})

    assert cohort.images == ("S1_20150301_M_54/1.dcm",)


def test_where_no_photograph_is_found_it_is_told(release):
    with pytest.raises(CohortError, match=r"labels.csv: no row has a folder <subid>_<YYYYMMDD>_<SEX>_<AGE>"):
        release([row(0)], {})


def test_a_table_of_another_layout_is_refused(tmp_path):
    (tmp_path / "dicom").mkdir()
    (tmp_path / "labels.csv").write_text("ID,patient\na,1\n")
    (tmp_path / "cohort.toml").write_text(TOML)

    with pytest.raises(CohortError, match=r'subid of layout "sepl-release" should be a column of .*labels.csv'):
        read_cohort(tmp_path / "cohort.toml")
