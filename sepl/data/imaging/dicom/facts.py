"""What the header of a DICOM photograph says about the person and the camera, as far as a cohort needs it.

Names are never read. The birth date is looked at only when the file has no age, and only whole years
leave this module.
"""

import re
from dataclasses import dataclass, field
from datetime import date

from sepl.data.imaging.dicom.elements import NUM_FRAMES, Elements, is_dicom, read_elements
from sepl.errors import ImageError
from sepl.tasks import BUILT_IN_TASKS

__all__ = ["DicomFacts", "is_dicom", "read_facts"]

_PATIENT_ID = 0x00100020
_BIRTH_DATE = 0x00100030
_SEX = 0x00100040
_AGE = 0x00101010
_IMAGE_LATERALITY = 0x00200062
_LATERALITY = 0x00200060
_DATES = (0x00080022, 0x0008002A, 0x00080023, 0x00080021, 0x00080020)
"""Of acquisition, acquisition with time, content, series, study: the first that is a date counts."""
_MANUFACTURER = 0x00080070
_MODEL = 0x00081090
_PLACEHOLDERS = ("19000101", "18991230", "18991231")
"""The first days of databases and spreadsheets, which stand where no date is known."""
_MAX_FRAMES = 10_000
"""Each frame becomes a row of a cohort; a forged header should not make millions."""
_TAGS = (_PATIENT_ID, _SEX, _AGE, _IMAGE_LATERALITY, _LATERALITY, *_DATES, _MANUFACTURER, _MODEL, NUM_FRAMES)

_EYES = {"R": "right", "L": "left"}
_SEXES = {"M": 1.0, "F": 0.0}
_PER_YEAR = {"Y": 1.0, "M": 12.0, "W": 365.25 / 7, "D": 365.25}


@dataclass(frozen=True)
class DicomFacts:
    """What a header says; what it leaves out is 1 frame, an empty text or NaN."""

    num_frames: int
    patient: str = field(repr=False)
    """The patient id as the hospital wrote it: identifying, to be hashed before anything is written."""
    eye: str
    """"left", "right" or empty."""
    acquired: str
    """YYYY-MM-DD or empty."""
    age: float
    """Years at the photograph; plausible as a table's have to be."""
    sex: float
    """1 male, 0 female."""
    camera: str
    """Manufacturer and model."""
    has_odd_age: bool = False
    """Whether it gives an age or a date of birth that was not taken: a placeholder, or nobody's."""


def read_facts(source: bytes) -> DicomFacts:
    """The facts of a DICOM file. Raises ImageError when its header cannot be read."""
    if not is_dicom(source):
        raise ImageError("not an image", "should be DICOM")
    elements = read_elements(source, _TAGS)
    acquired = next(filter(None, (_parse_date(elements.text(tag)) for tag in _DATES)), None)
    stated = _parse_age(elements.text(_AGE))
    is_odd = stated is not None and not _is_plausible(stated)
    age = stated
    if stated is None or is_odd:
        age, is_odd_birth = _age_from_birth(source, acquired)
        is_odd |= is_odd_birth
    return DicomFacts(
        num_frames=read_num_frames(elements),
        patient=elements.text(_PATIENT_ID),
        eye=next((_EYES[text] for text in _lateralities(elements) if text in _EYES), ""),
        acquired=acquired.isoformat() if acquired else "",
        age=float("nan") if age is None else age,
        sex=_SEXES.get(elements.text(_SEX).upper(), float("nan")),
        camera=" ".join(filter(None, (elements.text(_MANUFACTURER), elements.text(_MODEL)))),
        has_odd_age=is_odd,
    )


def read_num_frames(elements: Elements) -> int:
    """The number of frames that the header claims. Raises ImageError when it claims none or absurdly many."""
    text = elements.text(NUM_FRAMES) or "1"
    if not re.fullmatch(r"\+?\d{1,9}", text) or not 1 <= int(text) <= _MAX_FRAMES:
        raise ImageError("damaged DICOM", f"NumberOfFrames should be 1 to {_MAX_FRAMES}")
    return int(text)


def _lateralities(elements: Elements) -> tuple[str, str]:
    return elements.text(_IMAGE_LATERALITY).upper(), elements.text(_LATERALITY).upper()


def _parse_date(text: str) -> date | None:
    """YYYYMMDD, as DICOM has it since 1993, YYYY.MM.DD before; a time may follow. None for a placeholder."""
    match = re.match(r"(\d{4})([.-]?)(\d{2})\2(\d{2})", text)
    if match is None or (match[1] + match[3] + match[4]) in _PLACEHOLDERS:
        return None
    try:
        return date(int(match[1]), int(match[3]), int(match[4]))
    except ValueError:
        return None


def _parse_age(text: str) -> float | None:
    """None where there is none, −1 for 000Y, which is written of whoever's age is not known."""
    match = re.fullmatch(r"(\d{1,3})\s*([YMWD]?)", text.upper())
    if match is None:
        return None
    unit = match[2] or "Y"
    return -1.0 if unit == "Y" and int(match[1]) == 0 else int(match[1]) / _PER_YEAR[unit]


def _is_plausible(years: float) -> bool:
    low, high = BUILT_IN_TASKS["age"].low, BUILT_IN_TASKS["age"].high
    return (low is None or years >= low) and (high is None or years <= high)


def _age_from_birth(source: bytes, acquired: date | None) -> tuple[float | None, bool]:
    """The age, None where the dates do not tell it; and whether that is because the date of birth is odd."""
    text = read_elements(source, (_BIRTH_DATE,)).text(_BIRTH_DATE)
    born = _parse_date(text)
    if born is None:
        return None, re.sub(r"[.-]", "", text).startswith(_PLACEHOLDERS)
    if acquired is None or born > acquired:
        return None, False
    # whole years, as the header gives them: to the day, they and the date of the photograph would tell the birth date
    years = float(acquired.year - born.year - ((acquired.month, acquired.day) < (born.month, born.day)))
    return (years, False) if _is_plausible(years) else (None, True)
