"""From a photograph's bytes to the pixels that a network gets, or to the reason why there are none."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sepl.data.imaging.dicom.facts import is_dicom, read_facts
from sepl.data.imaging.photograph import ImageSpec, read_photograph
from sepl.errors import ImageError
from sepl.scoring.gate import reason_to_reject
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


@dataclass(frozen=True)
class Reading:
    """A photograph's pixels (size, size, 3), or None and why there are none."""

    name: str
    status: Status
    pixels: NDArray[np.uint8] | None = None
    reason: str | None = None
    patient: str = ""


def read(photograph: Photograph, spec: ImageSpec) -> Reading:
    """Reads, decodes and checks one photograph; never raises for what is wrong with the photograph."""
    try:
        pixels = _read_pixels(photograph, spec)
    except FileNotFoundError:
        return _unread(photograph, "failed", "file not found")
    except ImageError as problem:
        # pixels were there, but no retina among them
        status: Status = "rejected" if str(problem).startswith("no field of view") else "failed"
        return _unread(photograph, status, str(problem))
    except OSError as problem:
        return _unread(photograph, "failed", f"cannot be opened: {problem}")
    return gated(photograph.name, pixels, photograph.patient)


def gated(name: str, pixels: NDArray[np.uint8], patient: str) -> Reading:
    """The reading of pixels; rejected when they show no fundus photograph."""
    reason = reason_to_reject(pixels)
    if reason is not None:
        return Reading(name, "rejected", None, reason, patient)
    return Reading(name, "ok", pixels, None, patient)


def _read_pixels(photograph: Photograph, spec: ImageSpec) -> NDArray[np.uint8]:
    source = photograph.read()
    eye = photograph.eye
    if spec.mirror_left and not eye:
        eye = read_facts(source).eye if is_dicom(source) else ""
        if not eye:
            raise ImageError("eye not known: this model sees left eyes mirrored, so it should be told")
    return read_photograph(source, spec, eye=eye)


def _unread(photograph: Photograph, status: Status, reason: str) -> Reading:
    return Reading(photograph.name, status, None, reason, photograph.patient)
