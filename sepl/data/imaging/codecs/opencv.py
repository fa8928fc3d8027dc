"""OpenCV's decoder with one reason for whatever is wrong, and what it can decode at a fraction of the size."""

import cv2
import numpy as np
from numpy.typing import NDArray

from sepl.errors import ImageError

MAX_PIXELS_PER_BYTE = 2000
"""A photograph has about 10 and a black PNG 1000; a forged header would cost the memory that it claims."""

REDUCED_COLOUR = {
    1: cv2.IMREAD_COLOR_BGR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
"""Flags that decode a JPEG at 1/1 to 1/8 of its size, blue, green, red."""
REDUCED_GREY = {
    1: cv2.IMREAD_GRAYSCALE,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}


def unpack(source: bytes, flags: int, kind: str) -> NDArray[np.unsignedinteger]:
    """Samples (height, width) or (height, width, channels) of a whole file. Raises ImageError that it is damaged."""
    cv2.utils.logging.setLogLevel(0)  # type: ignore  # a damaged file is told in one reason, not in OpenCV's lines
    try:
        samples = cv2.imdecode(np.frombuffer(source, np.uint8), flags)
    except cv2.error as problem:
        raise ImageError(f"damaged {kind}") from problem
    if samples is None:
        raise ImageError(f"damaged {kind}")
    return samples  # type: ignore[return-value]  # OpenCV's stubs leave the depth open
