"""Where the retina is: the bright round field of a fundus photograph on its dark, noisy surround.

The surround is measured in the photograph's own corners. Nothing is assumed about the shape of the field, so a circle
that the sensor truncates above and below, or a view cropped out of one, keeps all it has; a photograph with no dark
corner stays whole.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from sepl.errors import ImageError

_LONGEST = 256  # pixels of the thumbnail that is searched: an edge is found to half a per cent
_DARK = 48  # a corner brighter than this (of 255) is retina or reflection, not surround
_MARGIN = 8.0  # grey levels above the surround, at least; JPEG ringing on black stays below
_SMALLEST = 0.1  # of the photograph's shorter side; a smaller bright spot is a label or a reflection


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels, right and bottom exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def longest(self) -> int:
        return max(self.right - self.left, self.bottom - self.top)


def find_field_of_view(pixels: NDArray[np.uint8]) -> Box:
    """The box around the field of view of pixels (H, W, 3). Raises ImageError when nothing is brighter than black."""
    height, width = pixels.shape[:2]
    shrink = max(1.0, max(height, width) / _LONGEST)
    size = (max(1, round(width / shrink)), max(1, round(height / shrink)))
    small = pixels if shrink == 1.0 else cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    blue, green, red = cv2.split(small)
    brightness = cv2.blur(cv2.max(cv2.max(blue, green), red), (3, 3))  # a retina is red, a reflection is not
    mask = (brightness > _surround(brightness)).astype(np.uint8)
    left, top, box_width, box_height, _ = _largest_region(mask)
    if max(box_width, box_height) < _SMALLEST * min(size):
        raise ImageError("no field of view: nothing brighter than the dark surround")
    scale_x, scale_y = width / size[0], height / size[1]
    return Box(
        left=int(left * scale_x),
        top=int(top * scale_y),
        right=min(width, int(np.ceil((left + box_width) * scale_x))),
        bottom=min(height, int(np.ceil((top + box_height) * scale_y))),
    )


def _surround(brightness: MatLike) -> float:
    """The grey level that the retina exceeds: four deviations of noise above the brightest dark corner."""
    corner = max(2, min(brightness.shape) // 24)
    low, high = slice(None, corner), slice(-corner, None)
    corners = [brightness[rows, columns] for rows in (low, high) for columns in (low, high)]
    dark = [patch for patch in corners if np.median(patch) < _DARK]
    level = max((float(np.median(patch)) for patch in dark), default=0.0)
    noise = max((float(patch.std()) for patch in dark), default=0.0)
    return level + max(_MARGIN, min(4 * noise, _DARK))


def _largest_region(mask: NDArray[np.uint8]) -> tuple[int, int, int, int, int]:
    """Left, top, width, height, area of the largest connected region; zeros when the mask is empty."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count < 2:
        return 0, 0, 0, 0, 0
    left, top, width, height, area = (int(value) for value in stats[1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())])
    return left, top, width, height, area
