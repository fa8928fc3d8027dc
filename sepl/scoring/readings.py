"""From a photograph's bytes to the pixels that a network gets, or to the reason why there are none."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sepl.data.imaging import photograph as images
from sepl.data.imaging.dicom.facts import is_dicom, read_facts
from sepl.data.imaging.photograph import ImageSpec, examine_photograph
from sepl.data.imaging.quality import QualityThresholds, judge
from sepl.data.imaging.reasons import NOT_FOUND, NOT_OPENED, PICTURES_OF_NO_RETINA, Refusal
from sepl.errors import ImageError
from sepl.scoring.rows import Status


@dataclass(frozen=True)
class Photograph:
    """A photograph still to be read; `read` gives its bytes, on a thread of the scorer."""

    name: str
    read: Callable[[], bytes]
    eye: str = ""
    """"left" or "right"; empty when nobody says. A DICOM file says it itself."""
    patient: str = ""
    """Whose it is; empty: of a patient of whom there is no other."""
    known: Mapping[str, float] = field(default_factory=dict)
    """What is known of the patient, by task in its unit; 0 or 1 of a binary one."""
    from_header: tuple[str, ...] = ()
    """Of age and sex, what a DICOM header is asked for where it is not known."""


@dataclass(frozen=True)
class Reading:
    """A photograph's pixels (size, size, 3), or None and why there are none."""

    name: str
    status: Status
    pixels: NDArray[np.uint8] | None = None
    reason: str | None = None
    patient: str = ""
    known: Mapping[str, float] = field(default_factory=dict)


def read(photograph: Photograph, spec: ImageSpec, limits: QualityThresholds) -> Reading:
    """Reads, decodes and judges one photograph as preparation does; never raises for what is wrong with it."""
    try:
        source = photograph.read()
        known = _known(photograph, source)
        seen = _examine(photograph, source, spec)
    except FileNotFoundError:
        return _unread(photograph, Refusal(NOT_FOUND))
    except ImageError as problem:
        return _unread(photograph, Refusal.of(problem))
    except OSError as problem:
        return _unread(photograph, Refusal(NOT_OPENED, str(problem)))
    if refusal := judge(seen.quality, limits):
        return _unread(photograph, refusal)
    return Reading(photograph.name, "ok", seen.pixels_HWC, None, photograph.patient, known)


def _known(photograph: Photograph, source: bytes) -> Mapping[str, float]:
    if not photograph.from_header or not is_dicom(source):
        return photograph.known
    try:
        facts = read_facts(source)
    except ImageError:  # decoding will say why
        return photograph.known
    said = {"age": facts.age, "sex": facts.sex}
    return {name: said[name] for name in photograph.from_header if not math.isnan(said[name])} | dict(photograph.known)


def _examine(photograph: Photograph, source: bytes, spec: ImageSpec) -> images.Photograph:
    eye = photograph.eye
    if spec.mirror_left and not eye:
        eye = read_facts(source).eye if is_dicom(source) else ""
        if not eye:
            raise ImageError("eye not known", "this model sees left eyes mirrored, so it should be told")
    return examine_photograph(source, spec, eye=eye)


def _unread(photograph: Photograph, refusal: Refusal) -> Reading:
    status: Status = "rejected" if refusal.kind in PICTURES_OF_NO_RETINA else "failed"
    return Reading(photograph.name, status, None, str(refusal), photograph.patient, photograph.known)
