"""What a photograph shows, in 64 numbers that survive re-encoding, resizing, brightening and a little cropping.

The green channel less its local mean, within the field of view, as the 64 slowest waves (DCT-II) over the square, of
which only the direction counts: light and contrast fall out. Fundus photographs are all alike at a first glance; where
the vessels run is in these waves. After the perceptual hash of the DCT kind (Zauner, "Implementation and Benchmarking
of Perceptual Image Hash Functions", 2010), whose 64 signs alone confuse one pair of retinas in 2,000.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from sepl.data.quality import DARK, thumbnail

NUM_WAVES = 64
SCALE = 256
"""Of a signature: a unit vector times this, cut to what a signed byte holds."""

_SIDE = 56  # half of the thumbnail's
_WINDOW = 11  # pixels: a fifth of the side; wider than vessels and disc, narrower than light and vignette
_FIELD_RADIUS = 0.93  # of half the side: the rim differs between copies that are cut differently
_MAX_WAVES = 12  # along one side; the 64 slowest are among 12 × 12


@dataclass(frozen=True)
class PictureCode:
    """Of one picture; copies have nearly the same."""

    perceptual: int
    """The signs of the waves, 64 bits: finds candidates."""
    signature: bytes
    """The waves themselves, 64 signed bytes: decides."""


def encode_picture(pixels_HWC: NDArray[np.uint8]) -> PictureCode:
    """The code of a square of RGB pixels (H, H, 3) as `read_photograph` gives it, not mirrored, before CLAHE."""
    return encode_thumbnail(thumbnail(pixels_HWC))


def encode_thumbnail(small_HWC: NDArray[np.uint8]) -> PictureCode:
    """As `encode_picture`, of what `sepl.data.quality.thumbnail` gave."""
    disc, basis, waves = _tools()
    tiny = cv2.resize(small_HWC, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    red, green, blue = cv2.split(tiny)
    brightest = cv2.max(cv2.max(red, green), blue)
    field = cv2.threshold(brightest, DARK, 1, cv2.THRESH_BINARY)[1] * disc
    inside = field.astype(np.float32)
    light = green * inside
    share = cv2.blur(inside, (_WINDOW, _WINDOW)) + np.float32(1e-3)
    detail = light - inside * (cv2.blur(light, (_WINDOW, _WINDOW)) / share)
    coefficients = (basis @ detail @ basis.T).ravel()[waves]
    unit = coefficients / max(1.0, float(np.linalg.norm(coefficients)))
    signature = np.clip(np.rint(unit * SCALE), -127, 127).astype(np.int8)
    return PictureCode(int.from_bytes(np.packbits(coefficients > 0).tobytes(), "big"), signature.tobytes())


@lru_cache(maxsize=1)
def _tools() -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]]:
    """The disc within which a picture counts, the waves along one side (12, 56), and which 64 of 12 × 12 are taken."""
    place = np.arange(_SIDE) + 0.5
    across, down = np.meshgrid(place - _SIDE / 2, place - _SIDE / 2)
    disc = (np.hypot(across, down) < _FIELD_RADIUS * _SIDE / 2).astype(np.uint8)
    basis = np.cos(np.pi / _SIDE * place * np.arange(_MAX_WAVES)[:, None]).astype(np.float32)
    frequency = np.hypot(*np.mgrid[:_MAX_WAVES, :_MAX_WAVES])
    return disc, basis, np.argsort(frequency.ravel(), kind="stable")[:NUM_WAVES]
