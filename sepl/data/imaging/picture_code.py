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

from sepl.data.imaging.quality import Thumbnail

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


def encode_thumbnail(small: Thumbnail) -> PictureCode:
    """The code of what `sepl.data.imaging.quality.thumbnail` gave of a photograph, not mirrored, before CLAHE."""
    tools = _tools()
    green = cv2.resize(small.green_HW, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    field = cv2.resize(small.field_HW, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    field = cv2.bitwise_and(cv2.threshold(field, 127, 1, cv2.THRESH_BINARY)[1], tools.disc)
    is_whole = cv2.countNonZero(field) == tools.num_disc  # as most are: its shares are known
    shares = tools.shares if is_whole else _shares(field)
    detail = _normalise(green.astype(np.float32), field.astype(np.float32), shares)
    coefficients = (tools.basis @ detail @ tools.basis.T).ravel()[tools.waves]
    length = float(coefficients @ coefficients) ** 0.5
    if length < 1:
        return PictureCode(0, bytes(NUM_WAVES))
    signature = np.maximum(np.minimum(np.rint(coefficients * (SCALE / length)), 127), -127).astype(np.int8)
    signs = np.packbits(coefficients[:_NUM_SIGNS] > 0)
    return PictureCode(int.from_bytes(signs.tobytes(), "big"), signature.tobytes())


def _normalise(
    green_HW: NDArray[np.float32], field_HW: NDArray[np.float32], shares: tuple[MatLike, MatLike]
) -> NDArray[np.floating]:
    """Green less its local mean, over its local deviation; means over the field alone, 0 outside it."""
    for_mean, for_contrast = shares
    inside_HW = green_HW * field_HW
    mean_HW = cv2.blur(inside_HW, (_WINDOW, _WINDOW)) / for_mean
    detail_HW = np.asarray(inside_HW - field_HW * mean_HW, np.float32)
    squares_HW = cv2.blur(cv2.multiply(detail_HW, detail_HW), (_CONTRAST_WINDOW, _CONTRAST_WINDOW))
    contrast_HW = np.sqrt(squares_HW / for_contrast + np.float32(_LEAST_CONTRAST))
    return np.maximum(np.minimum(detail_HW / contrast_HW, _MOST), -_MOST)  # a third of the time of np.clip


def _shares(field: MatLike) -> tuple[MatLike, MatLike]:
    """How much of the window around each pixel is field, for the mean and for the contrast."""
    inside = field.astype(np.float32)
    least = np.float32(1e-3)  # outside the field, where nothing is asked
    mean, contrast = (np.maximum(cv2.blur(inside, (side, side)), least) for side in (_WINDOW, _CONTRAST_WINDOW))
    return mean, contrast


@dataclass(frozen=True, eq=False)
class _Tools:
    disc: NDArray[np.uint8]
    """Within which a picture counts."""
    num_disc: int
    shares: tuple[MatLike, MatLike]
    basis: NDArray[np.float32]
    """The waves along one side (16, 56)."""
    waves: NDArray[np.int64]
    """Which of 16 × 16 are taken."""


@lru_cache(maxsize=1)
def _tools() -> _Tools:
    place = np.arange(_SIDE) + 0.5
    across, down = np.meshgrid(place - _SIDE / 2, place - _SIDE / 2)
    disc = (np.hypot(across, down) < _FIELD_RADIUS * _SIDE / 2).astype(np.uint8)
    basis = np.cos(np.pi / _SIDE * place * np.arange(_MAX_WAVES)[:, None]).astype(np.float32)
    frequency = np.hypot(*np.mgrid[:_MAX_WAVES, :_MAX_WAVES])
    waves = np.argsort(frequency.ravel(), kind="stable")[:NUM_WAVES]
    return _Tools(disc, cv2.countNonZero(disc), _shares(disc), basis, waves)
