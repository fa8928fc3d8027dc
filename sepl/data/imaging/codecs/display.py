"""Decoded samples as a viewer shows them: 8 bits, blue, green and red, on black, upright."""

import cv2
import numpy as np
from numpy.typing import NDArray

from sepl.data.imaging.codecs.bit_depth import drop_low_bits

_BAND = 256
"""Rows turned opaque at a time, so that their 16-bit products take little memory."""


def show(samples: NDArray[np.unsignedinteger], orientation: int = 1) -> NDArray[np.uint8]:
    """Pixels (height, width, 3) BGR, contiguous, of samples (height, width) grey or (height, width, 3 or 4) BGR, BGRA.

    Samples are uint8 or uint16; what a fourth channel calls transparent becomes black. `orientation` is 1 to 8 as EXIF
    has it.
    """
    if samples.ndim == 2:
        grey = drop_low_bits(samples, 16)
        pixels: NDArray[np.uint8] = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)  # type: ignore[assignment]
    elif samples.shape[2] == 4:
        # the depth of the colours is told by their brightest value; opacity is a share of all its bits
        opacity = samples[:, :, 3] >> 8 if samples.dtype == np.uint16 else samples[:, :, 3]
        pixels = _on_black(drop_low_bits(samples[:, :, :3], 16), opacity.astype(np.uint8, copy=False))
    else:
        pixels = drop_low_bits(samples, 16)
    return turn_upright(pixels, orientation)


def _on_black(colours: NDArray[np.uint8], opacity: NDArray[np.uint8]) -> NDArray[np.uint8]:
    shown = np.empty(colours.shape, np.uint8)
    for top in range(0, len(colours), _BAND):
        band = slice(top, top + _BAND)
        shown[band] = (colours[band].astype(np.uint16) * opacity[band, :, None] + 127) // 255
    return shown


def turn_upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Pixels (H, W, 3) as an orientation 1 to 8 of EXIF says that they are to be shown."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
