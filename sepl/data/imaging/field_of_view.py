"""Where the retina is: the bright round field of a fundus photograph on its dark, noisy surround.

The surround is measured in the photograph's own corners. Of the field's shape nothing is assumed but that it is fat
and has no arms, so a circle that the sensor truncates above and below, or a view cropped out of one, keeps all it has,
while names, dates, logos, bars and frames beside or across its rim are left out. A photograph with no dark corner stays
whole.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from sepl.data.imaging.reasons import NO_FIELD_OF_VIEW
from sepl.data.imaging.resize import halve_to
from sepl.errors import ImageError

_LEAST = 160  # pixels of the longer side of the thumbnail that is searched: an edge is found to half a per cent
_DARK = 48  # a corner brighter than this (of 255) is retina or reflection, not surround
_MARGIN = 8.0  # grey levels above the surround, at least; JPEG ringing on black stays below
_FLAT = 12  # grey levels around a margin's own, that JPEG ripples by; its white is rippled more, but never above 255
_WHITE = 250  # in every channel
_WHITISH = 200  # white that JPEG has rippled
_NEUTRAL = 4  # grey levels between the channels of a painted margin, at most
_MARGIN_MARK = 128  # neither 0 nor 255
_SOLID = 0.97  # of its convex hull; a whole, truncated or squared field fills as much of it
_FULL = 0.75  # of its outline; a frame around the picture fills less
_ARM = 0.35  # of the radius of the largest circle inside; what is narrower on both sides is no field
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
    small = halve_to(pixels, _LEAST)
    size = (small.shape[1], small.shape[0])
    blue, green, red = cv2.split(small)
    brightness = cv2.blur(cv2.max(cv2.max(blue, green), red), (3, 3))  # a retina is red, a reflection is not
    mask = cv2.threshold(brightness, _surround(brightness), 255, cv2.THRESH_BINARY)[1]
    left, top, box_width, box_height = _largest_region(mask)
    if max(box_width, box_height) < _SMALLEST * min(size):
        raise ImageError(NO_FIELD_OF_VIEW, "nothing brighter than the dark surround")
    scale = 2 ** round(math.log2(max(height, width) / max(size)))
    return Box(
        left=left * scale,
        top=top * scale,
        right=_to_edge((left + box_width) * scale, width, scale),
        bottom=_to_edge((top + box_height) * scale, height, scale),
    )


def _to_edge(end: int, length: int, scale: int) -> int:
    """What the thumbnail left out at the far edge belongs to its last pixel."""
    return length if end + scale > length else end


def blacken_bright_surround(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pixels (H, W, 3) whose white or grey margin, as some exports pad with, is black like everyone else's surround.

    White that reaches at least two corners of the picture counts as margin, and one flat grey that reaches all four; an
    over-exposed retina seldom does the one and never the other.
    """
    # plain lists: for twelve numbers NumPy takes ten times as long
    corners = pixels[:: pixels.shape[0] - 1 or 1, :: pixels.shape[1] - 1 or 1].reshape(-1, 3).tolist()
    if sum(min(corner) >= _WHITE for corner in corners) >= 2:
        return _blacken(pixels, [_WHITISH] * 3, [255] * 3)
    is_grey = all(min(corner) >= _DARK and max(corner) - min(corner) <= _NEUTRAL for corner in corners)
    low, high = (
        [min(levels) for levels in zip(*corners, strict=True)],
        [max(levels) for levels in zip(*corners, strict=True)],
    )
    if not is_grey or max(high) - min(low) > 2 * _NEUTRAL:
        return pixels
    return _blacken(pixels, [level - _FLAT for level in low], [level + _FLAT for level in high])


def _blacken(pixels: NDArray[np.uint8], low: Sequence[int], high: Sequence[int]) -> NDArray[np.uint8]:
    """Black where the colour lies between `low` and `high` and an edge can be reached through such colours."""
    alike = cv2.copyMakeBorder(
        cv2.inRange(pixels, np.array(low), np.array(high)), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=255
    )
    cv2.floodFill(alike, None, (0, 0), _MARGIN_MARK)  # all that touches an edge, not what lies inside
    margin = (alike[1:-1, 1:-1] == _MARGIN_MARK).astype(np.uint8)
    reach = 2 * max(2, max(pixels.shape) // 128) + 1  # JPEG leaves a fringe beside the margin
    fringed = cv2.dilate(margin, np.ones((reach, reach), np.uint8))
    return np.where(fringed[:, :, None] > 0, np.uint8(0), pixels)


def _surround(brightness: MatLike) -> float:
    """The grey level that the retina exceeds: four deviations of noise above the darkest corner, if that is dark."""
    corner = max(2, min(brightness.shape) // 24)
    low, high = slice(None, corner), slice(-corner, None)
    patches = [brightness[rows, columns] for rows in (low, high) for columns in (low, high)]
    level, noise = min((float(mean[0, 0]), float(std[0, 0])) for mean, std in map(cv2.meanStdDev, patches))
    if level >= _DARK:
        return _MARGIN
    return level + max(_MARGIN, min(4 * noise, _DARK))


def _largest_region(mask: MatLike) -> tuple[int, int, int, int]:
    """Left, top, width, height of the region with the largest area, without its arms; zeros when the mask is empty."""
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not outlines:
        return 0, 0, 0, 0
    area, largest = max(((cv2.contourArea(outline), outline) for outline in outlines), key=itemgetter(0))
    left, top, width, height = cv2.boundingRect(largest)
    inside = cv2.countNonZero(mask[top : top + height, left : left + width])
    is_plain = area >= _SOLID * cv2.contourArea(cv2.convexHull(largest))
    if is_plain and inside >= _FULL * area:
        return left, top, width, height
    return _without_arms(mask)


def _without_arms(mask: MatLike) -> tuple[int, int, int, int]:
    """The region around the largest circle inside the mask, opened by a smaller circle.

    Opening leaves the box of what is fat and convex as it was; past the picture's edge the field counts as going on.
    """
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    _, deepest, _, (x, y) = cv2.minMaxLoc(depth)
    arm = _ARM * min(deepest, max(mask.shape) / 2)  # no dark pixel anywhere: the depth has no bound
    core = (depth > arm).astype(np.uint8)
    cv2.floodFill(core, None, (x, y), 2)
    opened = cv2.distanceTransform((core != 2).astype(np.uint8), cv2.DIST_L2, 5) <= arm
    left, top, width, height = cv2.boundingRect((opened & (mask > 0)).astype(np.uint8))
    return left, top, width, height
