"""The retina without vessels and lesions: pigment, choroid, sheen, macula and disc of one eye.

Axes: H rows, W columns, K colours in the order red, green, blue. Coordinates as in `vessels.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Canvas = NDArray[np.floating]
"""Float32 wherever a picture's size decides the cost."""

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
        disc_ovality=rng.normal(1.1, 0.04),
        pigment=pigment + 0.2 * rng.standard_normal(),
        choroid_KHW=rng.standard_normal((3, 26, 26)).astype(np.float32),
        light=rng.normal(0, 0.1, 2),
    )


@cache
def grid(size: int) -> tuple[Canvas, Canvas]:
    """x and y (H, W) of the pixels of a square picture, in radii of the field of view."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    x, y = np.meshgrid(axis, axis)
    return x, y


def paint_background(anatomy: Anatomy, shown: dict[str, float], size: int) -> Canvas:
    """Reflectance (H, W, K): pigment and blood, and over them the smooth glows and shades of the retina."""
    # Reflectance multiplies, so that every part adds to its logarithm. All is smooth: a coarse grid holds it.
    log_KHW = _base_colour(anatomy, shown)[:, None, None] + sum(
        np.multiply.outer(np.asarray(colour_K), part_HW) for part_HW, colour_K in _glows(anatomy, shown)
    )
    coarse = np.exp(log_KHW).transpose(1, 2, 0).astype(np.float32)
    return enlarge(coarse, size)


def enlarge(field: Canvas, size: int) -> Canvas:
    """A smooth field (H, W) or (H, W, K) on a grid of (size, size)."""
    return np.asarray(cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC), np.float32)


def _base_colour(anatomy: Anatomy, shown: dict[str, float]) -> NDArray[np.float64]:
    melanin = anatomy.pigment * np.array([-0.08, -0.10, -0.09])
    anaemia = shown["fundus_pallor"] * np.array([-0.03, 0.11, 0.07])
    lipaemia = shown["vessel_cream"] * np.array([0.03, 0.03, 0.20])
    return np.log([0.74, 0.36, 0.16]) + melanin + anaemia + lipaemia


def _glows(anatomy: Anatomy, shown: dict[str, float]) -> Iterator[tuple[Canvas, list[float]]]:
    """Each part (H, W) with its weights on red, green and blue."""
    x, y = grid(_COARSE)
    to_disc = np.hypot(x - anatomy.disc[0], y - anatomy.disc[1])
    to_fovea = np.hypot(x - anatomy.fovea[0], y - anatomy.fovea[1])
    tone, depth, sheen = shown["peripapillary_tone"], shown["fovea_depth"], 0.16 + 0.15 * shown["nerve_fibre_sheen"]
    yield anatomy.light[0] * x + anatomy.light[1] * y, [1.0, 1.1, 1.2]
    yield (
        enlarge(anatomy.choroid_KHW[0, :7, :7], _COARSE),
        [0.036, 0.06, 0.06],
    )
    yield np.exp(-((to_disc / 0.42) ** 2)), [0.08 + 0.03 * tone, 0.12 + 0.13 * tone, 0.08 + 0.08 * tone]
    yield -max(0.03, 0.42 + 0.16 * depth) * np.exp(-((to_fovea / (0.14 + 0.02 * depth)) ** 2)), [0.75, 1.0, 1.1]
    yield np.exp(-((to_fovea / 0.3) ** 2)), [-0.11, -0.18, -0.31]  # macular pigment
    yield shown["artery_narrowing"] * np.minimum(1.2, x**2 + y**2), [-0.12, -0.02, 0.06]  # ill-fed periphery
    yield shown["exudates"] * np.exp(-(((to_fovea - 0.48) / 0.14) ** 2)), [0.01, 0.07, 0.07]  # oedema around the macula
    yield shown["drusen"] * np.exp(-((to_fovea / 0.36) ** 4)), [0.03, 0.11, 0.01]  # drusen too small to tell apart
    yield sheen * _sheen(x - anatomy.disc[0], y - anatomy.disc[1], to_disc, to_fovea, anatomy), [0.5, 1.0, 1.5]


def _sheen(x: Canvas, y: Canvas, to_disc: Canvas, to_fovea: Canvas, anatomy: Anatomy) -> Canvas:
    """Reflex of the nerve fibre layer: thick above and below the disc, streaked, and a ring around the fovea."""
    angle = np.abs(np.arctan2(y, -x))  # 0 points to the fovea
    bundles = np.exp(-(((angle - 1.15) / 0.5) ** 2)) * np.exp(-((to_disc / 0.62) ** 2))
    streaks = 1 + 0.35 * np.interp(angle * 8, np.arange(26), anatomy.choroid_KHW[1, 0])
    ring = np.exp(-(((to_fovea - 0.25) / 0.07) ** 2))
    return bundles * streaks + 0.6 * ring


def paint_choroid(canvas: Canvas, anatomy: Anatomy, shown: dict[str, float]) -> Canvas:
    """Choroidal vessels shining through, away from the macula: orange bands, dark between."""
    size = canvas.shape[0]
    x, y = grid(size)
    contrast = max(0.02, 0.12 + 0.09 * shown["tessellation"])
    fine, broad = (enlarge(field, size) for field in anatomy.choroid_KHW[1:])
    bands = np.exp(-((fine + 0.4 * broad) ** 2) / 0.35) - 0.4 + 0.25 * broad
    far = 1 - np.exp(-(((x - np.float32(anatomy.fovea[0])) ** 2 + (y - np.float32(anatomy.fovea[1])) ** 2) / 0.2))
    relief_HW = (contrast * far * bands).astype(np.float32)
    return canvas * np.exp(relief_HW[..., None] * np.array([0.7, 1.2, 0.5], np.float32))


def paint_disc(canvas: Canvas, anatomy: Anatomy, shown: dict[str, float]) -> Canvas:
    """Blends in the optic disc: rim, pale cup, margin sharp or swollen."""
    x, y = grid(canvas.shape[0])
    radius = 0.145 * np.exp(0.22 * shown["disc_size"])
    blur = 0.012 * np.exp(0.6 * shown["disc_margin_blur"])
    pallor = shown["disc_pallor"]
    from_centre = np.hypot(x - anatomy.disc[0], (y - anatomy.disc[1]) / anatomy.disc_ovality)
    rim_HW = _soft_inside(from_centre, radius, blur)
    cup_HW = _soft_inside(
        np.hypot(x - anatomy.disc[0] + 0.01, y - anatomy.disc[1]), radius * (0.42 + 0.09 * pallor), 0.02
    )
    halo_HW = 0.12 * max(0.0, 1 + 0.8 * shown["disc_margin_blur"]) * np.exp(-((from_centre / (2.1 * radius)) ** 2))
    rim_K = np.array([1.0, 0.68 + 0.07 * pallor, 0.42 + 0.11 * pallor], np.float32)
    cup_K = np.array([1.06, 0.93 + 0.03 * pallor, 0.70 + 0.05 * pallor], np.float32)
    canvas = canvas + halo_HW[..., None].astype(np.float32) * np.array([0.5, 0.8, 0.8], np.float32)
    canvas = canvas + rim_HW[..., None] * (rim_K - canvas) * np.float32(0.9)
    return canvas + cup_HW[..., None] * (cup_K - canvas) * np.float32(0.85)


def _soft_inside(distance: Canvas, radius: float, blur: float) -> Canvas:
    return (1 / (1 + np.exp(np.clip((distance - radius) / blur, -30, 30)))).astype(np.float32)
