"""The retina without vessels and lesions: pigment, choroid, sheen, macula and disc of one eye.

Axes: K colours in the order red, green, blue; H rows, W columns. Coordinates as in `vessels.py`. A canvas (K, H, W)
holds float32: one colour lies in one piece, which numpy multiplies several times faster than three interleaved.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Canvas = NDArray[np.floating]

_COARSE = 72
"""Side in pixels of the grid on which smooth parts are computed before they are enlarged."""


@dataclass(frozen=True)
class Anatomy:
    """Where things lie in one eye; drawn once an eye, not shared by the two."""

    disc: NDArray[np.float64]
    fovea: NDArray[np.float64]
    disc_ovality: float
    pigment: float
    """Melanin, in standard deviations; shared by both eyes."""
    choroid_KHW: NDArray[np.float32]
    """Three smooth noise fields on a small grid."""
    light: NDArray[np.float64]
    """Direction and strength of the illumination's gradient."""


def draw_anatomy(rng: np.random.Generator, pigment: float) -> Anatomy:
    """A right eye; the left is drawn the same way and mirrored."""
    fovea = np.array([-0.08, 0.06]) + rng.normal(0, 0.05, 2)
    angle = np.deg2rad(rng.normal(6, 3))  # the fovea lies a little below the disc
    distance = rng.normal(0.62, 0.03)
    return Anatomy(
        disc=fovea + distance * np.array([np.cos(angle), -np.sin(angle)]),
        fovea=fovea,
        disc_ovality=float(rng.normal(1.1, 0.04)),
        pigment=float(pigment + 0.2 * rng.standard_normal()),
        choroid_KHW=rng.standard_normal((3, 26, 26)).astype(np.float32),
        light=rng.normal(0, 0.1, 2),
    )


@cache
def grid(size: int) -> tuple[Canvas, Canvas]:
    """x and y (H, W) of the pixels of a square picture, in radii of the field of view."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    x, y = np.meshgrid(axis, axis)
    return x, y


def colour(red: float, green: float, blue: float) -> Canvas:
    """A colour (K, 1, 1), to be multiplied with a field (H, W)."""
    return np.array([[[red]], [[green]], [[blue]]], np.float32)


def enlarge(field: Canvas, size: int) -> Canvas:
    """A smooth field (H, W) on a grid of (size, size)."""
    return np.asarray(cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC), np.float32)


def paint_background(anatomy: Anatomy, shown: dict[str, float], size: int) -> Canvas:
    """Reflectance (K, H, W): pigment and blood, and over them the smooth glows and shades of the retina."""
    # Reflectance multiplies, so that every part adds to its logarithm. All is smooth: a coarse grid holds it.
    log_KHW = sum(
        (colour(*weights) * part_HW for part_HW, weights in _glows(anatomy, shown)), _base_colour(anatomy, shown)
    )
    return np.stack([enlarge(coarse_HW, size) for coarse_HW in np.exp(log_KHW)])


def _base_colour(anatomy: Anatomy, shown: dict[str, float]) -> Canvas:
    melanin = anatomy.pigment * colour(-0.08, -0.10, -0.09)
    anaemia = shown["fundus_pallor"] * colour(-0.03, 0.11, 0.07)
    lipaemia = shown["vessel_cream"] * colour(0.03, 0.03, 0.20)
    return np.log(colour(0.74, 0.36, 0.16)) + melanin + anaemia + lipaemia


def _glows(anatomy: Anatomy, shown: dict[str, float]) -> Iterator[tuple[Canvas, list[float]]]:
    """Each part (H, W) with its weights on red, green and blue."""
    x, y = grid(_COARSE)
    (disc_x, disc_y), (fovea_x, fovea_y), (light_x, light_y) = (
        place.tolist() for place in (anatomy.disc, anatomy.fovea, anatomy.light)
    )
    to_disc, to_fovea = np.hypot(x - disc_x, y - disc_y), np.hypot(x - fovea_x, y - fovea_y)
    tone, depth, sheen = shown["peripapillary_tone"], shown["fovea_depth"], 0.16 + 0.15 * shown["nerve_fibre_sheen"]
    yield light_x * x + light_y * y, [1.0, 1.1, 1.2]
    yield (
        enlarge(anatomy.choroid_KHW[0, :7, :7], _COARSE),
        [0.036, 0.06, 0.06],
    )
    yield np.exp(-((to_disc / 0.42) ** 2)), [0.08 + 0.03 * tone, 0.12 + 0.13 * tone, 0.08 + 0.08 * tone]
    yield -max(0.03, 0.42 + 0.16 * depth) * np.exp(-((to_fovea / (0.14 + 0.02 * depth)) ** 2)), [0.75, 1.0, 1.1]
    yield np.exp(-((to_fovea / 0.3) ** 2)), [-0.11, -0.18, -0.31]  # macular pigment
    yield shown["artery_narrowing"] * np.minimum(1.2, x**2 + y**2), [-0.12, -0.02, 0.06]  # ill-fed periphery
    yield shown["exudates"] * np.exp(-(((to_fovea - 0.48) / 0.14) ** 2)), [0.01, 0.07, 0.07]  # oedema around the macula
    yield shown["drusen"] * np.exp(-((to_fovea / 0.36) ** 4)), [0.05, 0.10, 0.0]  # drusen too small to tell apart
    yield sheen * _sheen(x - disc_x, y - disc_y, to_disc, to_fovea, anatomy), [0.5, 1.0, 1.5]


def _sheen(x: Canvas, y: Canvas, to_disc: Canvas, to_fovea: Canvas, anatomy: Anatomy) -> Canvas:
    """Reflex of the nerve fibre layer: thick above and below the disc, streaked, and a ring around the fovea."""
    angle = np.abs(np.arctan2(y, -x))  # 0 points to the fovea
    bundles = np.exp(-(((angle - 1.15) / 0.5) ** 2)) * np.exp(-((to_disc / 0.62) ** 2))
    streaks = 1 + 0.35 * np.interp(angle * 8, np.arange(26), anatomy.choroid_KHW[1, 0])
    ring = np.exp(-(((to_fovea - 0.25) / 0.07) ** 2))
    return bundles * streaks + 0.6 * ring


def paint_choroid(canvas_KHW: Canvas, anatomy: Anatomy, shown: dict[str, float]) -> Canvas:
    """Choroidal vessels shining through, away from the macula: orange bands, dark between."""
    size = canvas_KHW.shape[1]
    contrast = max(0.02, 0.12 + 0.09 * shown["tessellation"])
    x, y = grid(_COARSE)
    fovea_x, fovea_y = anatomy.fovea.tolist()
    far_HW = enlarge(1 - np.exp(-((x - fovea_x) ** 2 + (y - fovea_y) ** 2) / 0.2), size)
    fine_HW, broad_HW = (enlarge(field, size) for field in anatomy.choroid_KHW[1:])
    bands_HW = np.exp(-((fine_HW + 0.4 * broad_HW) ** 2) / 0.35) - 0.4 + 0.25 * broad_HW
    relief_HW = contrast * far_HW * bands_HW
    return canvas_KHW * (1 + colour(0.8, 1.1, 0.5) * relief_HW)


def paint_disc(canvas_KHW: Canvas, anatomy: Anatomy, shown: dict[str, float]) -> Canvas:
    """Blends in the optic disc: rim, pale cup, margin sharp or swollen."""
    x, y = grid(canvas_KHW.shape[1])
    disc_x, disc_y = anatomy.disc.tolist()
    radius = 0.145 * math.exp(0.22 * shown["disc_size"])
    blur = 0.012 * math.exp(0.6 * shown["disc_margin_blur"])
    swelling = 0.15 * max(0.0, 1 + 0.8 * shown["disc_margin_blur"])
    pallor = shown["disc_pallor"]
    across_HW = np.hypot(x - disc_x, (y - disc_y) / anatomy.disc_ovality)
    halo_HW = swelling * np.exp(-((across_HW / (2.1 * radius)) ** 2))
    rim_HW = 0.9 * _soft_inside(across_HW, radius, blur)
    cup_HW = 0.85 * _soft_inside(np.hypot(x - disc_x + 0.01, y - disc_y), radius * (0.44 + 0.11 * pallor), 0.02)
    canvas_KHW = canvas_KHW + halo_HW * colour(0.4, 0.8, 1.0)
    canvas_KHW = _blend(canvas_KHW, rim_HW, colour(1.0, 0.68 + 0.11 * pallor, max(0.05, 0.36 + 0.15 * pallor)))
    return _blend(canvas_KHW, cup_HW, colour(1.06, 0.93 + 0.03 * pallor, 0.58 + 0.05 * pallor))


def _soft_inside(distance_HW: Canvas, radius: float, blur: float) -> Canvas:
    return 0.5 + 0.5 * np.tanh((radius - distance_HW) / (2 * blur))


def _blend(canvas_KHW: Canvas, share_HW: Canvas, other: Canvas) -> Canvas:
    return canvas_KHW + share_HW * (other - canvas_KHW)
