"""Ways from a file to the pixels of a network, each over many files in a process of its own."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from cv2.typing import MatLike

from sepl.data.imaging.decode import read_header
from sepl.data.imaging.photograph import ImageSpec, examine_photograph

_REDUCED = {
    1: cv2.IMREAD_COLOR_BGR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def reduction_for(path: Path, size: int) -> int:
    """The largest reduction of a JPEG that leaves its shorter side at least `size` pixels."""
    header = read_header(path.read_bytes())
    shorter = min(header.width, header.height)
    return next(reduction for reduction in (8, 4, 2, 1) if reduction == 1 or shorter // reduction >= size)


def plain_decode(paths: Iterable[Path], size: int, reduction: int) -> None:
    """The least that can be done: decoded at a reduction that is known, resized whole, RGB."""
    for path in paths:
        picture = _decode(path.read_bytes(), _REDUCED[reduction])
        cv2.cvtColor(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)


def examine(paths: Iterable[Path], size: int) -> None:
    """As preparation does."""
    spec = ImageSpec(size=size)
    for path in paths:
        examine_photograph(path.read_bytes(), spec)


def released_decode(paths: Iterable[Path], size: int) -> None:
    """As the released SePL code: decoded in full, CLAHE on the lightness at full size, resized, cropped."""
    for path in paths:
        lightness, *colour = cv2.split(
            cv2.cvtColor(_decode(path.read_bytes(), cv2.IMREAD_COLOR_BGR), cv2.COLOR_BGR2LAB)
        )
        equalised = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8)).apply(lightness)
        _crop(cv2.cvtColor(cv2.merge([equalised, *colour]), cv2.COLOR_LAB2RGB), size)


def _decode(source: bytes, flags: int) -> MatLike:
    picture = cv2.imdecode(np.frombuffer(source, np.uint8), flags)
    assert picture is not None, "it was just written"
    return picture


def _crop(picture: MatLike, size: int) -> MatLike:
    """The shorter side at 256/224 of `size`, then the middle; area averaging is no slower than PIL's filter."""
    height, width = picture.shape[:2]
    scale = size * 256 / 224 / min(height, width)
    resized = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    top, left = (resized.shape[0] - size) // 2, (resized.shape[1] - size) // 2
    return resized[top : top + size, left : left + size]
