"""Lesions of one eye: haemorrhages, hard exudates and drusen, in number and size by their channels."""

import cv2
import numpy as np
from numpy.typing import NDArray

from sepl.data.simulate.retina import Anatomy, Canvas

_MOST = 90


def paint_lesions(canvas: Canvas, anatomy: Anatomy, shown: dict[str, float], rng: np.random.Generator) -> Canvas:
    """Blends dots and patches into the canvas (H, W, RGB)."""
    size = canvas.shape[0]
    soft_HW = _spots(rng, anatomy.fovea, 0.20, 0.022, _count(12, 0.75, shown["drusen"]), size, 0.009)
    canvas = _blend(canvas, soft_HW * 0.45, [0.92, 0.72, 0.36])
    hard_HW = _spots(rng, anatomy.fovea, 0.38, 0.016, _count(5, 0.85, shown["exudates"]), size, 0.004)
    canvas = _blend(canvas, hard_HW * 0.75, [1.0, 0.9, 0.5])
    red_HW = _spots(rng, 0.4 * anatomy.fovea, 0.50, 0.018, _count(5, 0.85, shown["haemorrhages"]), size, 0.004)
    return _blend(canvas, red_HW * 0.75, [0.34, 0.06, 0.04])


def _count(usual: float, growth: float, value: float) -> int:
    return round(usual * float(np.exp(growth * value)))


def _spots(
    rng: np.random.Generator,
    middle: NDArray[np.float64],
    spread: float,
    radius: float,
    num: int,
    size: int,
    blur: float,
) -> Canvas:
    """Coverage (H, W) by `num` round spots scattered about `middle`; `radius` and `blur` in radii of the field."""
    mask = np.zeros((size, size), np.uint8)
    # The same draws whatever the number, so that a rising channel adds spots and moves none.
    places_ND = middle + spread * rng.standard_normal((_MOST, 2))
    radii_N = radius * rng.lognormal(0, 0.35, _MOST)
    for place_D, spot_radius in zip(places_ND[:num], radii_N[:num], strict=True):
        centre = np.round((place_D + 1) * size / 2 * 16).astype(int)
        cv2.circle(
            mask, (int(centre[0]), int(centre[1])), max(4, round(spot_radius * size / 2 * 16)), 255, -1, cv2.LINE_AA, 4
        )
    return cv2.GaussianBlur(mask, (0, 0), max(0.4, blur * size / 2)).astype(np.float32) / 255


def _blend(canvas: Canvas, coverage_HW: Canvas, colour: list[float]) -> Canvas:
    return canvas + coverage_HW[..., None] * (np.array(colour, np.float32) - canvas)
