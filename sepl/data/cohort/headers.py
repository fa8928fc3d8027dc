"""What DICOM headers add to a cohort's tables, and where they contradict them.

Headers are read from the first bytes of each file, many at a time, and only in cohorts that have such files. A table
stands over a header; a contradiction becomes a finding.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sepl.data.cohort.findings import Findings
from sepl.data.cohort.labels import range_of
from sepl.data.cohort.listing import Listing, Texts, fill_role
from sepl.data.imaging.dicom.elements import read_elements
from sepl.data.imaging.dicom.facts import DicomFacts, is_dicom, read_facts
from sepl.data.imaging.files import has_dicom_name
from sepl.data.tables.values import MISSING_SPELLINGS, Code, numbers_of
from sepl.errors import ImageError
from sepl.execution.progress import progress
from sepl.storage import Location
from sepl.tasks import BUILT_IN_TASKS

FIRST_BYTES = 64 * 2**10
"""A photograph's header without colour profile takes a few KiB; a longer one costs a second look."""
MOST_YEARS_APART = 1.5
"""Ages in a table and in a header may be rounded either way."""
_ODD_AGE = f"the header's is a placeholder or not{range_of(BUILT_IN_TASKS['age'])}, and not taken"
_READERS = 32
"""Files looked at together: waiting for a disk or a store costs no processor."""
_BATCH = 4096
"""Files asked for at a time, so that memory does not grow with the cohort."""


@dataclass(frozen=True, eq=False)
class Headers:
    """What the headers of a listing's photographs say (N); empty or NaN where they do not, or a file is not DICOM."""

    num_frames: NDArray[np.int64]
    patients: Texts
    eyes: Texts
    visits: Texts
    cameras: Texts
    ages: NDArray[np.float64]
    odd_ages: NDArray[np.bool_]
    """Whether one has an age that was not taken."""
    sexes: NDArray[np.float64]

    def take(self, chosen: NDArray[Any]) -> "Headers":
        return Headers(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})


def read_headers(listing: Listing, folder: Location) -> Headers:
    """The headers of the files that may be DICOM by their names; no file is opened in a cohort without such."""
    size = len(listing)
    empty = {role: np.full(size, "", object) for role in ("patients", "eyes", "visits", "cameras")}
    absent = {name: np.full(size, np.nan) for name in ("ages", "sexes")}
    headers = Headers(np.ones(size, np.int64), **empty, **absent, odd_ages=np.zeros(size, bool))
    asked = [index for index, image in enumerate(listing.images) if image and has_dicom_name(str(image))]
    if not asked:
        return headers
    with (
        progress(len(asked), "reading DICOM headers") as advance,
        ThreadPoolExecutor(_READERS, thread_name_prefix="headers") as executor,
    ):
        for start in range(0, len(asked), _BATCH):
            batch = asked[start : start + _BATCH]
            places = [folder / str(listing.images[index]) for index in batch]
            for index, facts in zip(batch, executor.map(_facts_of, places), strict=True):
                advance(1)
                if facts is not None:
                    _note(headers, index, facts)
    return headers


def _note(headers: Headers, index: int, facts: DicomFacts) -> None:
    headers.num_frames[index] = facts.num_frames
    headers.patients[index], headers.eyes[index] = _said(facts.patient), facts.eye
    headers.visits[index], headers.cameras[index] = sys.intern(facts.acquired), _said(facts.camera)
    headers.ages[index], headers.sexes[index] = facts.age, facts.sex
    headers.odd_ages[index] = facts.has_odd_age


def _said(text: str) -> str:
    """Empty for what a table's cell would spell as absent."""
    return "" if text.lower() in MISSING_SPELLINGS else sys.intern(text)


def expand_frames(listing: Listing, headers: Headers) -> tuple[Listing, Headers]:
    """One photograph for each frame of a multi-frame file; its row is the file's."""
    counts = headers.num_frames
    if (counts == 1).all():
        return listing, headers
    indices = np.repeat(np.arange(len(listing)), counts)
    frames = np.concatenate([np.arange(count) for count in counts])
    return replace(listing.take(indices), frames=frames), headers.take(indices)


def fill_from_headers(listing: Listing, headers: Headers, findings: Findings) -> Listing:
    """The listing with patient, eye, visit and camera from the headers where it has none."""
    _note_patient_conflicts(listing, headers, findings)
    for role in ("eye", "visit"):
        _note_text_conflicts(listing, role, getattr(headers, f"{role}s"), findings)
    for role in ("patient", "eye", "visit", "camera"):
        listing = fill_role(listing, role, getattr(headers, f"{role}s"))
    return listing


def fill_labels(
    name: str,
    labels_N: NDArray[np.float64],
    headers: Headers,
    listing: Listing,
    missing: Sequence[Code],
    findings: Findings,
) -> NDArray[np.float64]:
    """The labels of age or sex with the headers' where the tables have none; an age declared missing is none there."""
    said, tolerance = (headers.ages, MOST_YEARS_APART) if name == "age" else (headers.sexes, 0.0)
    if name == "age":
        said = np.where(np.isin(said, numbers_of(missing)), np.nan, said)
        odd = headers.odd_ages & np.isnan(labels_N)
        findings.note_cells("implausible value", odd, _ODD_AGE, listing.rows, name, listing.table)
    apart = np.flatnonzero(np.abs(labels_N - said) > tolerance)  # NaN is never apart
    findings.add(
        *[
            listing.finding("table and header differ", int(index), name, f"the header says another {name}")
            for index in apart
        ]
    )
    return np.where(np.isnan(labels_N), said, labels_N)


def _facts_of(place: Location) -> DicomFacts | None:
    """None when the file is not DICOM or cannot be read: decoding will say why."""
    try:
        with _open(place) as stream:
            source = stream.read(FIRST_BYTES)
            if not is_dicom(source):
                return None
            if len(source) == FIRST_BYTES and not _has_whole_header(source):
                source += stream.read()
    except OSError:
        return None
    try:
        return read_facts(source)
    except ImageError:
        return None


def _open(place: Location) -> Any:
    """Arrow opens no local file whose name is not UTF-8."""
    return place.local_path().open("rb") if place.is_local else place.filesystem.open_input_stream(place.path)


def _has_whole_header(source: bytes) -> bool:
    """Whether the pixels begin within the bytes, so that nothing before them is cut off."""
    try:
        return bool(read_elements(source, ()).pixels_start)
    except ImageError:
        return False


def _note_text_conflicts(listing: Listing, role: str, said: Texts, findings: Findings) -> None:
    own = listing.role(role)
    differ = (own != "") & (said != "") & (own != said)
    if role == "visit":  # a visit that is no date cannot contradict one
        differ &= np.array([_is_date(str(text)) for text in own], bool)
    detail = f"the header says another {'date' if role == 'visit' else role}"
    findings.add(*[listing.finding("table and header differ", int(i), role, detail) for i in np.flatnonzero(differ)])


def _is_date(text: str) -> bool:
    return len(text) == 10 and text[4] == text[7] == "-"


def _note_patient_conflicts(listing: Listing, headers: Headers, findings: Findings) -> None:
    """Notes rows whose file belongs, by its header, to another of the table's patients.

    The table may name patients otherwise than the hospital did; then most files of a header's patient tell which of the
    table's patients that is, and the others are in conflict.
    """
    pairs = list(zip(headers.patients, listing.patients, strict=True))
    meant = {header: _majority(tables, header) for header, tables in _grouped(pairs).items()}
    owner = {table: _majority(headers, table) for table, headers in _grouped([(b, a) for a, b in pairs]).items()}
    for index, (header, table) in enumerate(pairs):
        if header and table and (meant[header] != table or owner[table] != header):
            findings.add(
                listing.finding("table and header differ", index, "patient", "the header says another patient")
            )


def _grouped(pairs: Sequence[tuple[str, str]]) -> dict[str, Counter[str]]:
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    for one, other in pairs:
        if one and other:
            groups[one][other] += 1
    return groups


def _majority(counts: Counter[str], same: str) -> str:
    """The most frequent; the one of the same spelling among equals."""
    return max(counts, key=lambda name: (counts[name], name == same, name))
