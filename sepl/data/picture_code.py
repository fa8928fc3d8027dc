"""What a photograph shows, in 128 numbers that survive re-encoding, resizing, brightening and a little cropping.

The green channel less its local mean, over its local contrast, within the field of view, as the 128 slowest waves
(DCT-II) over the square, of which only the direction counts: light and contrast fall out. Fundus photographs are all
alike at a first glance; where the vessels run is in these waves. A perceptual hash of the DCT kind (Zauner,
"Implementation and Benchmarking of Perceptual Image Hash Functions", 2010) is the signs of the first 64. Without the
local contrast the optic disc outshines the vessels, and one pair of retinas in 2,000 has the same hash but for 6 bits.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from sepl.data.quality import DARK, thumbnail

NUM_WAVES = 128
SCALE = 256
"""Of a signature: a unit vector times this, cut to what a signed byte holds."""

_NUM_SIGNS = 64
_SIDE = 56  # half of the thumbnail's
_WINDOW = 11  # pixels: a fifth of the side; wider than vessels, narrower than light and vignette
_CONTRAST_WINDOW = 21
_LEAST_CONTRAST = 0.5  # grey levels squared; below it is the noise of the camera and of JPEG
_MOST = 1.5  # deviations; an optic disc or a burnt spot counts no more than a vessel
_FIELD_RADIUS = 0.93  # of half the side: the rim differs between copies that are cut differently
_MAX_WAVES = 16  # along one side; the 128 slowest are among 16 × 16


@dataclass(frozen=True)
class PictureCode:
    """Of one picture; copies have nearly the same."""

    perceptual: int
    """The signs of the first 64 waves: finds candidates. 0 where nothing is to be seen."""
    signature: bytes
    """The waves themselves, 128 signed bytes: decides."""


def encode_picture(pixels_HWC: NDArray[np.uint8]) -> PictureCode:
    """The code of a square of RGB pixels (H, H, 3) as `read_photograph` gives it, not mirrored, before CLAHE."""
    return encode_thumbnail(thumbnail(pixels_HWC))


def encode_thumbnail(small_HWC: NDArray[np.uint8]) -> PictureCode:
    """As `encode_picture`, of what `sepl.data.quality.thumbnail` gave."""
    disc, basis, waves = _tools()
    tiny = cv2.resize(small_HWC, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    red, green, blue = cv2.split(tiny)
    field = cv2.threshold(cv2.max(cv2.max(red, green), blue), DARK, 1, cv2.THRESH_BINARY)[1] * disc
    detail = _normalise(green.astype(np.float32), field.astype(np.float32))
    coefficients = (basis @ detail @ basis.T).ravel()[waves]
    length = float(np.linalg.norm(coefficients))
    if length < 1:
        return PictureCode(0, bytes(NUM_WAVES))
    signature = np.clip(np.rint(coefficients * (SCALE / length)), -127, 127).astype(np.int8)
    signs = np.packbits(coefficients[:_NUM_SIGNS] > 0)
    return PictureCode(int.from_bytes(signs.tobytes(), "big"), signature.tobytes())


def _normalise(green_HW: NDArray[np.float32], field_HW: NDArray[np.float32]) -> NDArray[np.floating]:
    """Green less its local mean, over its local deviation; means over the field alone, 0 outside it."""
    detail_HW = green_HW * field_HW
    detail_HW -= field_HW * _local_mean(detail_HW, field_HW, _WINDOW)
    variance_HW = _local_mean(cv2.multiply(detail_HW, detail_HW), field_HW, _CONTRAST_WINDOW)
    return np.clip(detail_HW / np.sqrt(variance_HW + np.float32(_LEAST_CONTRAST)), -_MOST, _MOST)


def _local_mean(values_HW: MatLike, field_HW: MatLike, window: int) -> NDArray[np.float32]:
    share_HW = cv2.max(cv2.blur(field_HW, (window, window)), 1e-3)  # type: ignore[call-overload]
    return np.asarray(cv2.blur(values_HW, (window, window)) / share_HW, np.float32)


@lru_cache(maxsize=1)
def _tools() -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]]:
    """The disc within which a picture counts, the waves along one side (16, 56), and which of 16 × 16 are taken."""
    place = np.arange(_SIDE) + 0.5
    across, down = np.meshgrid(place - _SIDE / 2, place - _SIDE / 2)
    disc = (np.hypot(across, down) < _FIELD_RADIUS * _SIDE / 2).astype(np.uint8)
    basis = np.cos(np.pi / _SIDE * place * np.arange(_MAX_WAVES)[:, None]).astype(np.float32)
    frequency = np.hypot(*np.mgrid[:_MAX_WAVES, :_MAX_WAVES])
    return disc, basis, np.argsort(frequency.ravel(), kind="stable")[:NUM_WAVES]
