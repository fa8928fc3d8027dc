"""A cohort of 400 simulated patients in the authors' layout, with defects planted in some of them.

Each defect is one row of `DEFECTS`: what is done to one patient's rows and files, and the verdict that preparing the
cohort should give. Patients are taken from the front of the cohort, one a defect, two where it takes two.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from dicoms import write_dicom
from numpy.typing import NDArray
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit

from sepl.simulation.cohort import simulate_cohort
from sepl.tasks import SEPL_RELEASE_COLUMNS

NUM_PATIENTS = 400
Picture = NDArray[np.unsignedinteger]


@dataclass
class Patient:
    """One patient as the hospital exports him: two rows of the table and the files of one visit, right eye first."""

    number: int
    pictures: list[Picture]
    rows: list[dict[str, object]]
    folder: str
    headers: list[dict[str, object]]
    files: list[bytes | None] = field(default_factory=list)
    """None for a file that is not there."""

    @property
    def subid(self) -> str:
        return f"S{self.number:04d}"

    def write(self, eye: int, picture: Picture | list[Picture], *args: object, **options: object) -> None:
        """Puts another picture or another coding in a file's place."""
        self.files[eye] = write_dicom(picture, *args, header=self.headers[eye], **options)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Verdict:
    """What should come out for one row of a patient (0 or 1); empty fields are not looked at."""

    row: int = 0
    rejected: str = ""
    """How the reason in rejected.csv begins."""
    finding: str = ""
    """The kind of a finding of the row."""
    column: str = ""
    """The finding's column."""
    labels: dict[str, float] = field(default_factory=dict)
    """Labels of the kept photograph, NaN for absent."""
    num_kept: int = 1
    """Photographs of the row's file in the prepared dataset, where the row is neither refused nor left out."""
    finding_row: int = 0
    """Added to `row`: where the finding stands."""
    same_side_as_next: bool = False
    """The patient stands in the cohort split of the patient after him."""


@dataclass(frozen=True)
class Defect:
    name: str
    plant: Callable[[Patient, Patient], None]
    """Gets the patient and the one after him, whom only some defects touch."""
    verdict: Verdict
    num_patients: int = 1


def write_planted_cohort(folder: Path) -> tuple[Path, list[Patient]]:
    """The cohort file of a new cohort below `folder`, and its patients in the order of the table."""
    patients = _sound_patients(folder / "simulated")
    for first, defect in zip(places(), DEFECTS, strict=True):
        defect.plant(patients[first], patients[first + 1])
    for patient in patients:
        _write_files(folder / "dicom", patient)
    rows = [row for patient in patients for row in patient.rows]
    table = pd.DataFrame(rows)
    table.to_csv(folder / "labels.csv", index=False, encoding="iso-8859-1")
    (folder / "cohort.toml").write_text(TOML)
    return folder / "cohort.toml", patients


def row_number(patients: list[Patient], patient: Patient, row: int) -> int:
    """As a spreadsheet shows it."""
    return 2 + sum(len(before.rows) for before in patients[: patient.number]) + row


def places() -> list[int]:
    """The first patient of each defect."""
    sizes = [defect.num_patients for defect in DEFECTS]
    return [sum(sizes[:index]) for index in range(len(sizes))]


TOML = """
name = "planted"
layout = "sepl-release"
table = "labels.csv"
images = "dicom"
missing = [-9, 999]
"""


def _sound_patients(folder: Path) -> list[Patient]:
    for _ in simulate_cohort(folder, num_patients=NUM_PATIENTS, image_size=128, seed=12, num_processes=1):
        pass
    frame = pd.read_csv(folder / "labels.csv")
    images = frame.groupby("patient_id", sort=False)["image"].apply(list)
    factors = frame.groupby("patient_id", sort=False).first()
    return [_patient(number, folder, images.iloc[number], factors.iloc[number]) for number in range(NUM_PATIENTS)]


def _patient(number: int, folder: Path, images: list[str], factors: "pd.Series") -> Patient:
    pictures = [_read_rgb(folder / "images" / image) for image in images]
    sex, age = "M" if factors["sex"] in (1, "1", "M", "male") else "F", int(factors["age"])
    date = f"2019{number % 12 + 1:02d}{number % 28 + 1:02d}"
    values = {column: factors[name] for name, column in SEPL_RELEASE_COLUMNS.items()}
    row = {"subid": f"S{number:04d}", "ODT": f"{date[:4]}-{date[4:6]}-{date[6:]}", **values, "SEX": sex, "AGE": age}
    header = {"PatientID": f"S{number:04d}", "PatientName": "Doe^Jane", "PatientSex": sex, "PatientAge": f"{age:03d}Y"}
    header |= {"AcquisitionDate": date, "PatientBirthDate": f"{2019 - age}0101"}
    patient = Patient(
        number,
        pictures,
        [{"ID": eye, **row} for eye in (0, 1)],
        f"S{number:04d}_{date}_{sex}_{age}",
        [{**header, "ImageLaterality": side} for side in ("R", "L")],
        [None, None],
    )
    for eye in (0, 1):
        patient.write(eye, pictures[eye], JPEGBaseline8Bit, "YBR_FULL_422")
    return patient


def _read_rgb(path: Path) -> Picture:
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    assert pixels is not None
    return pixels.astype(np.uint8)


def _write_files(folder: Path, patient: Patient) -> None:
    place = folder / patient.folder
    for number, content in enumerate(patient.files):
        if content is not None:
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number}.dcm").write_bytes(content)


def _cell(column: str, value: object) -> Callable[[Patient, Patient], None]:
    """Writes one cell of the patient's first row."""

    def plant(patient: Patient, _: Patient) -> None:
        patient.rows[0][column] = value

    return plant


def _picture(draw: Callable[[Picture], Picture]) -> Callable[[Patient, Patient], None]:
    """Puts another picture in place of the right eye's."""
    return lambda patient, _: patient.write(0, draw(patient.pictures[0]))


def _file(change: Callable[[bytes], bytes | None]) -> Callable[[Patient, Patient], None]:
    """Changes the bytes of the right eye's file."""

    def plant(patient: Patient, _: Patient) -> None:
        assert patient.files[0] is not None
        patient.files[0] = change(patient.files[0])

    return plant


def _header(keyword: str, value: object) -> Callable[[Patient, Patient], None]:
    def plant(patient: Patient, _: Patient) -> None:
        patient.headers[0][keyword] = value
        patient.write(0, patient.pictures[0])

    return plant


def _coded(*args: object, **options: object) -> Callable[[Patient, Patient], None]:
    return lambda patient, _: patient.write(0, patient.pictures[0], *args, **options)


def _sixteen_bits(patient: Patient, _: Patient) -> None:
    patient.write(0, patient.pictures[0].astype(np.uint16) * 257, bits=16)


def _claim_size(patient: Patient, _: Patient) -> None:
    patient.headers[0] |= {"Rows": 60000, "Columns": 60000}
    patient.write(0, patient.pictures[0])


def _remove_folder(patient: Patient, _: Patient) -> None:
    patient.files = []


def _remove_second_file(patient: Patient, _: Patient) -> None:
    patient.files[1] = None


def _add_third_file(patient: Patient, _: Patient) -> None:
    patient.files.append(write_dicom(_brighter(patient.pictures[0]), header=patient.headers[0]))


def _repeat_row(patient: Patient, _: Patient) -> None:
    patient.rows.append(dict(patient.rows[0]))


def _copy_file_from_next(patient: Patient, other: Patient) -> None:
    """Byte for byte, so that the header too is the other's."""
    patient.files[0] = other.files[0]


def _copy_picture_from_next(patient: Patient, other: Patient) -> None:
    larger = cv2.resize(other.pictures[0], (160, 160), interpolation=cv2.INTER_CUBIC)
    patient.write(0, larger.astype(np.uint8), JPEGBaseline8Bit, "YBR_FULL_422")


def _say_the_next_patient(patient: Patient, other: Patient) -> None:
    patient.headers[0]["PatientID"] = other.subid
    patient.write(0, patient.pictures[0])


def _rename_folder(patient: Patient, _: Patient) -> None:
    patient.folder = patient.folder.rpartition("_")[0] + "_17"


def _jpeg_named_dcm(patient: Patient, _: Patient) -> None:
    done, coded = cv2.imencode(".jpg", cv2.cvtColor(patient.pictures[0], cv2.COLOR_RGB2BGR))
    assert done
    patient.files[0] = coded.tobytes()


def _slashed_date(patient: Patient, _: Patient) -> None:
    for row in patient.rows:
        year, month, day = str(row["ODT"]).split("-")
        row["ODT"] = f"{int(month)}/{int(day)}/{year}"


def _brighter(picture: Picture) -> Picture:
    return np.clip(picture.astype(np.int16) + 12, 0, 255).astype(np.uint8)


def _over_exposed(picture: Picture) -> Picture:
    return np.clip(picture.astype(np.float32) * 6 + 90, 0, 255).astype(np.uint8)


def _blurred(picture: Picture) -> Picture:
    return cv2.GaussianBlur(picture, (0, 0), 9).astype(np.uint8)


def _page_of_text(_: Picture) -> Picture:
    page = np.full((128, 128, 3), 245, np.uint8)
    for line in range(12, 120, 12):
        cv2.putText(page, "report of the day", (6, line), cv2.FONT_HERSHEY_PLAIN, 0.7, (20, 20, 20), 1)
    return page


def _noise(_: Picture) -> Picture:
    return np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)


def _ultrasound(_: Picture) -> Picture:
    rows, columns = np.mgrid[:128, :128]
    fan = (np.hypot(rows, columns - 64) < 120) & (np.abs(columns - 64) < rows * 0.7)
    grey = np.random.default_rng(1).rayleigh(50, (128, 128)) * fan
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def _sky(_: Picture) -> Picture:
    rows = np.linspace(0, 1, 128)[:, None]
    return np.stack([np.broadcast_to(60 + 120 * rows, (128, 128)), np.broadcast_to(120 + 90 * rows, (128, 128)),
                     np.full((128, 128), 235.0)], axis=2).astype(np.uint8)  # fmt: skip


def _finding(kind: str, column: str = "", **labels: float) -> Verdict:
    return Verdict(finding=kind, column=column, labels=labels)


NAN = float("nan")
OTHER_DATE = _finding("table and header differ", "ODT")
LINKED_FILE = Verdict(finding="same pixels of another patient", finding_row=2, same_side_as_next=True)
LINKED_PICTURE = Verdict(finding="same picture of another patient", finding_row=2, same_side_as_next=True)
DEFECTS: tuple[Defect, ...] = (
    # files that cannot be decoded
    Defect("empty file", _file(lambda _: b""), Verdict(rejected="empty file")),
    Defect("truncated in the header", _file(lambda data: data[:200]), Verdict(rejected="truncated")),
    Defect("truncated in the pixels", _file(lambda data: data[: len(data) * 2 // 3]), Verdict(rejected="truncated")),
    Defect("a text file", _file(lambda _: b"exported by the archive\n" * 40), Verdict(rejected="not an image")),
    Defect("a header of 60,000 × 60,000", _claim_size, Verdict(rejected="too large")),
    Defect("no file for a row", _remove_second_file, Verdict(row=1, finding="row left out", column="ID")),
    Defect("no folder for a patient", _remove_folder, Verdict(finding="row left out", column="ODT")),
    # pictures that cannot be graded
    Defect("black", _picture(np.zeros_like), Verdict(rejected="no field of view")),
    Defect("white", _picture(lambda picture: np.full_like(picture, 255)), Verdict(rejected="n")),
    Defect("over-exposed", _picture(_over_exposed), Verdict(rejected="not gradeable")),
    Defect("blurred", _picture(_blurred), Verdict(rejected="not gradeable")),
    Defect("a page of text", _picture(_page_of_text), Verdict(rejected="no field of view")),
    Defect("noise", _picture(_noise), Verdict(rejected="not gradeable")),
    Defect("an ultrasound picture", _picture(_ultrasound), Verdict(rejected="not gradeable")),
    Defect("a blue sky", _picture(_sky), Verdict(rejected="not gradeable")),
    # codings that are no defect
    Defect("16 bits a channel", _sixteen_bits, Verdict()),
    Defect("JPEG 2000, YBR_RCT", _coded(JPEG2000Lossless, "YBR_RCT"), Verdict()),
    Defect("colour planes one after the other", _coded(planar=1), Verdict()),
    Defect("a JPEG named .dcm", _jpeg_named_dcm, Verdict()),
    Defect("three frames in a file", lambda p, _: p.write(0, [p.pictures[0]] * 3), Verdict(num_kept=3)),
    # tables, folders and headers that contradict each other
    Defect("a third file", _add_third_file, Verdict(finding="photographs without a row", column="ID")),
    Defect("an eye that is neither 0 nor 1", _cell("ID", 2), Verdict(finding="row left out", column="ID")),
    Defect("no patient", _cell("subid", ""), Verdict(finding="row left out", column="ODT")),
    Defect("a row twice", _repeat_row, Verdict(finding="row left out", column="photograph", finding_row=2)),
    Defect("a date as the authors' code spells it", _slashed_date, Verdict()),
    Defect("another age in the folder's name", _rename_folder, _finding("table and folder differ", "AGE")),
    Defect("another sex in the header", _header("PatientSex", "O"), Verdict()),
    Defect("another age in the header", _header("PatientAge", "003Y"), _finding("table and header differ", "age")),
    Defect("another date in the header", _header("AcquisitionDate", "20010101"), OTHER_DATE),
    Defect("another patient in the header", _say_the_next_patient, _finding("table and header differ", "subid"), 2),
    # cells
    Defect("an impossible pressure", _cell("SBP", 1200), _finding("implausible value", "SBP", sbp=NAN)),
    Defect("a code for absent", _cell("gluc", -9), Verdict(labels={"glucose": NAN})),
    Defect("another code for absent", _cell("BUN", 999), Verdict(labels={"bun": NAN})),
    Defect("below the limit of detection", _cell("Creatinin", "<0.5"), Verdict(labels={"creatinine": 0.5})),
    Defect("a decimal comma", _cell("HbA1c", "5,6"), Verdict(labels={"hba1c": 5.6})),
    Defect("text in a number's place", _cell("TG", "haemolytic"), Verdict(labels={"triglycerides": NAN})),
    Defect("a spreadsheet's error", _cell("Uric Acid", "#VALUE!"), Verdict(labels={"uric_acid": NAN})),
    Defect("a height in metres", _cell("Height", 1.7), Verdict(labels={"height": NAN})),
    Defect("sex in another spelling", _cell("SEX", "weiblich"), Verdict(labels={"sex": 0.0})),
    Defect("sex that nobody knows", _cell("SEX", "x7"), Verdict()),
    # the same picture under two patients
    Defect("another patient's file", _copy_file_from_next, LINKED_FILE, 2),
    Defect("another patient's picture, coded anew", _copy_picture_from_next, LINKED_PICTURE, 2),
)  # fmt: skip
