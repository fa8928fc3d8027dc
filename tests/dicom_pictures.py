"""What the tests of DICOM share: one picture, and how to read, change and compare files of it."""

import io
import math
from typing import Any

import numpy as np
from dicoms import Picture, draw_fundus, save
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from sepl.data.imaging.decode import decode, read_header

RGB = draw_fundus()
SIZE = (RGB.shape[1], RGB.shape[0])
GREY = np.repeat(RGB[:, :, 1:2], 3, axis=2)
FEW = RGB // 48 * 48 + 20  # the colours that the palette keeps
LOSSLESS_CODES = (JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, RLELossless)
COMPRESSED = (*LOSSLESS_CODES, JPEGBaseline8Bit, JPEGLSNearLossless, JPEG2000)


def read(source: bytes, reduction: int = 1, frame: int = 0) -> NDArray[np.uint8]:
    """RGB pixels."""
    return decode(source, read_header(source), reduction, frame)[:, :, ::-1]


def source_of(photometric: str) -> Picture:
    """What a file of this photometric interpretation can show of RGB."""
    return {"M": GREY, "P": FEW}.get(photometric[0], RGB)


def psnr(pixels: NDArray[Any], expected: NDArray[Any]) -> float:
    """In decibels, of a peak of 255; infinite where nothing differs."""
    error = np.mean((pixels.astype(float) - expected) ** 2)
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def change(source: bytes, **values: object) -> bytes:
    """The file with these elements set, or removed where None."""
    dataset = dcmread(io.BytesIO(source))
    for keyword, value in values.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return save(dataset)


def keyword_of(value: object) -> str:
    """A name of a syntax that a test's id may bear."""
    return value.keyword if isinstance(value, UID) else str(value)
