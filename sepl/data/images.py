"""From the bytes of a photograph to the pixels that a network sees.

`read_photograph` is the one way in: preparation, offline scoring and the server all call it, so the same file gives the
same pixels everywhere.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sepl.config import Settings
from sepl.data.decode import Header, decode, read_header
from sepl.data.field_of_view import Box, blacken_white_surround, find_field_of_view
from sepl.errors import ImageError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ImageSpec(Settings):
    """How a photograph becomes a network's input; kept with the dataset and with every bundle."""

    size: int = Field(ge=16, le=4096)
    """Side of the square, in pixels."""
    mean: tuple[float, float, float] = IMAGENET_MEAN
    """Of red, green, blue, in 0 … 1; the network's input is (pixel / 255 - mean) / std."""
    std: tuple[float, float, float] = IMAGENET_STD
    field_of_view: bool = True
    """Crop to the bright field of view first; False keeps the whole photograph."""


def read_photograph(source: bytes, spec: ImageSpec) -> NDArray[np.uint8]:
    """Pixels (size, size, 3) RGB, contiguous: cropped to the field of view, padded to a square with black, resized.

    Raises ImageError with a short reason: empty, not an image, truncated, damaged, unsupported, too large, no field of
    view. The text before a colon is the kind of reason.
    """
    header = read_header(source)
    reduction = _reduction_for(header, spec.size)
    try:
        pixels, box = _decode_field(source, header, reduction, spec)
        while reduction > 1 and box.longest < spec.size:  # a field much smaller than its photograph
            reduction //= 2
            pixels, box = _decode_field(source, header, reduction, spec)
        return _resize(_square(pixels, box), spec.size)
    except cv2.error as problem:
        raise ImageError(f"damaged {header.kind}: OpenCV gave up ({problem.err})") from problem


def read_photograph_file(path: Path, spec: ImageSpec) -> NDArray[np.uint8]:
    """As `read_photograph`, from a file; ImageError when it cannot be opened."""
    try:
        source = path.read_bytes()
    except FileNotFoundError:
        raise ImageError("file not found") from None
    except (OSError, ValueError) as problem:
        raise ImageError(f"cannot be opened: {problem}") from problem
    return read_photograph(source, spec)


def _reduction_for(header: Header, size: int) -> int:
    """The largest JPEG reduction that leaves the shorter side at least `size` pixels."""
    if header.kind != "JPEG":
        return 1
    shorter = min(header.width, header.height)
    return next(reduction for reduction in (8, 4, 2, 1) if reduction == 1 or shorter // reduction >= size)


def _decode_field(source: bytes, header: Header, reduction: int, spec: ImageSpec) -> tuple[NDArray[np.uint8], Box]:
    pixels = decode(source, header, reduction)
    if not spec.field_of_view:
        return pixels, Box(0, 0, pixels.shape[1], pixels.shape[0])
    pixels = blacken_white_surround(pixels)
    return pixels, find_field_of_view(pixels)


def _square(pixels: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """The box in the middle of a black square, so that a circle stays a circle."""
    crop = pixels[box.top : box.bottom, box.left : box.right]
    height, width = crop.shape[:2]
    if height == width:
        return crop
    top, left = (box.longest - height) // 2, (box.longest - width) // 2
    square = np.zeros((box.longest, box.longest, 3), np.uint8)
    square[top : top + height, left : left + width] = crop
    return square


def _resize(square: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    if square.shape[0] != size:
        # area averaging does not alias when it shrinks; it would leave blocks when it enlarges
        interpolation = cv2.INTER_AREA if square.shape[0] > size else cv2.INTER_CUBIC
        square = cv2.resize(square, (size, size), interpolation=interpolation)  # type: ignore[assignment]
    return cv2.cvtColor(square, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]
