"""Lesions of one eye: haemorrhages, hard exudates and drusen, in number and size by their channels."""

import cv2
import numpy as np

from sepl.simulation.channels import Values
from sepl.simulation.retina import Anatomy, Canvas, colour

_MOST = 90


def paint_lesions(canvas_KHW: Canvas, anatomy: Anatomy, shown: dict[str, float], rng: np.random.Generator) -> Canvas:
    """Adds dots and patches to the canvas."""
    size = canvas_KHW.shape[1]
    soft_HW = _spots(rng, anatomy.fovea, 0.19, 0.020, _count(14, 0.7, shown["drusen"]), size, 0.010)
    canvas_KHW = canvas_KHW * (1 + soft_HW * colour(0.22, 0.40, 0.12))
    hard_HW = _spots(rng, anatomy.fovea, 0.36, 0.015, _count(6, 0.8, shown["exudates"]), size, 0.005)
    canvas_KHW = canvas_KHW * (1 + hard_HW * colour(0.28, 1.1, 1.1))
    red_HW = _spots(rng, 0.4 * anatomy.fovea, 0.48, 0.016, _count(7, 0.75, shown["haemorrhages"]), size, 0.007)
    return canvas_KHW * (1 - red_HW * colour(0.42, 0.68, 0.62))


def _count(usual: float, growth: float, value: float) -> int:
    return round(usual * float(np.exp(growth * value)))


def _spots(
    rng: np.random.Generator, middle: Values, spread: float, radius: float, num: int, size: int, blur: float
) -> Canvas:
    """Coverage (H, W) by `num` ragged spots scattered about `middle`; `radius` and `blur` in radii of the field."""
    mask = np.zeros((size, size), np.uint8)
    # The same draws whatever the number, so that a rising channel adds spots and moves none.
    places_ND = middle + spread * rng.standard_normal((_MOST, 2))
    radii_N = radius * rng.lognormal(0, 0.4, _MOST)
    lobes_NLD = places_ND[:, None] + 0.6 * radii_N[:, None, None] * rng.standard_normal((_MOST, 3, 2))
    centres_NLD = np.round((lobes_NLD + 1) * size * 8).astype(int)  # in sixteenths of a pixel
    for centres_LD, lobe_radius in zip(centres_NLD[:num].tolist(), (0.7 * radii_N * size * 8).tolist(), strict=False):
        for x, y in centres_LD:
            cv2.circle(mask, (x, y), max(4, round(lobe_radius)), 255, -1, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(mask, (0, 0), max(0.35, blur * size / 2)).astype(np.float32) / 255
