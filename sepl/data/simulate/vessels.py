"""The vessel tree of one eye: arcades around the macula, nasal vessels, and branches that taper.

Coordinates are a right eye's as a camera shows it, in radii of the field of view, x to the right (nasal), y down, the
middle of the field at (0, 0). A branch is a centre line with a width at each point.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_NUM_POINTS = 28
_NUM_GENERATIONS = 3


@dataclass(frozen=True)
class Branches:
    """B branches of P points each."""

    points_BPD: NDArray[np.float64]
    """(B, P, 2) centre lines, x and y."""
    widths_BP: NDArray[np.float64]
    """(B, P) full widths."""


def draw_tree(
    rng: np.random.Generator, disc: NDArray[np.float64], fovea: NDArray[np.float64], width: float, tortuosity: float
) -> Branches:
    """A tree that leaves the disc: four trunks, then generations of branches.

    `width` is a trunk's full width at the disc, in radii of the field; `tortuosity` the swing of heading in radians.
    """
    grown = [_trunks(rng, disc, fovea, width, tortuosity)]
    for _ in range(_NUM_GENERATIONS):
        grown.append(_offspring(rng, grown[-1], fovea, tortuosity))
    return Branches(
        np.concatenate([branches.points_BPD for branches in grown]),
        np.concatenate([branches.widths_BP for branches in grown]),
    )


def _trunks(
    rng: np.random.Generator, disc: NDArray[np.float64], fovea: NDArray[np.float64], width: float, tortuosity: float
) -> Branches:
    """Temporal arcades above and below the fovea, nasal vessels above and below."""
    # Headings turn from almost vertical at the disc; temporal arcades bend around the fovea, nasal ones run straight on.
    towards = np.sign(fovea[0] - disc[0])
    start = np.array([0.48, 0.48, 0.62, 0.62]) * np.pi + rng.normal(0, 0.12, 4)
    turn = np.array([-0.47, -0.47, 0.22, 0.22]) * np.pi + rng.normal(0, 0.12, 4)
    length = np.array([1.55, 1.55, 0.9, 0.9]) * rng.uniform(0.9, 1.1, 4)
    vertical = np.array([-1.0, 1.0, -1.0, 1.0])
    steps = np.linspace(0, 1, _NUM_POINTS)
    heading_BP = start[:, None] + turn[:, None] * np.minimum(1, 1.5 * steps) + _swing(rng, 4, tortuosity, length)
    directions_BPD = np.stack([towards * np.cos(heading_BP), vertical[:, None] * np.sin(heading_BP)], axis=-1)
    origin_B1D = disc + rng.normal(0, 0.025, (4, 1, 2)) * [0.6, 1.0]
    widths_B = width * np.array([1.0, 1.0, 0.72, 0.72]) * rng.uniform(0.9, 1.1, 4)
    return Branches(_walk(origin_B1D, directions_BPD, length), widths_B[:, None] * (1 - 0.55 * steps))


def _offspring(rng: np.random.Generator, parents: Branches, fovea: NDArray[np.float64], tortuosity: float) -> Branches:
    """Two or three branches of each parent, on alternate sides, thinner and shorter."""
    num_each = 3 if len(parents.points_BPD) <= 4 else 2
    parent_B = np.repeat(np.arange(len(parents.points_BPD)), num_each)
    place_B = np.tile(np.linspace(0.25, 0.8, num_each), len(parents.points_BPD)) + rng.uniform(-0.1, 0.1, len(parent_B))
    point_B = (place_B * (_NUM_POINTS - 1)).astype(int)
    origin_BD = parents.points_BPD[parent_B, point_B]
    along_BD = parents.points_BPD[parent_B, point_B + 1] - origin_BD
    side_B = (
        np.where(np.arange(len(parent_B)) % 2, 1.0, -1.0) * rng.choice([1.0, -1.0], len(parents.points_BPD))[parent_B]
    )
    heading_B = np.arctan2(along_BD[:, 1], along_BD[:, 0]) + side_B * rng.uniform(0.5, 1.0, len(parent_B))
    length_B = np.linalg.norm(along_BD, axis=1) * (_NUM_POINTS - 1) * rng.uniform(0.4, 0.65, len(parent_B))
    length_B = np.minimum(length_B, 0.9 * np.linalg.norm(origin_BD - fovea, axis=1))  # the fovea has no vessels
    steps = np.linspace(0, 1, _NUM_POINTS)
    bend_B = -side_B * rng.uniform(0.0, 0.9, len(parent_B))
    heading_BP = heading_B[:, None] + bend_B[:, None] * steps + _swing(rng, len(parent_B), tortuosity, length_B)
    directions_BPD = np.stack([np.cos(heading_BP), np.sin(heading_BP)], axis=-1)
    widths_B = parents.widths_BP[parent_B, point_B] * rng.uniform(0.55, 0.75, len(parent_B))
    return Branches(_walk(origin_BD[:, None], directions_BPD, length_B), widths_B[:, None] * (1 - 0.6 * steps))


def _swing(rng: np.random.Generator, num: int, tortuosity: float, length_B: NDArray[np.float64]) -> NDArray[np.float64]:
    """Heading's swing (B, P): two waves along each branch."""
    along_BP = length_B[:, None] * np.linspace(0, 1, _NUM_POINTS)
    phase_WB = rng.uniform(0, 2 * np.pi, (2, num, 1))
    rate_WB = 2 * np.pi / rng.uniform([[[0.16]], [[0.35]]], [[[0.28]], [[0.6]]], (2, num, 1))
    return tortuosity * np.sin(rate_WB * along_BP + phase_WB).sum(axis=0) * np.minimum(1, along_BP / 0.1)


def _walk(
    origin_B1D: NDArray[np.float64], directions_BPD: NDArray[np.float64], length_B: NDArray[np.float64]
) -> NDArray[np.float64]:
    steps_BPD = directions_BPD * (length_B / (_NUM_POINTS - 1))[:, None, None]
    return origin_B1D + np.cumsum(steps_BPD, axis=1) - steps_BPD[:, :1]


def ribbons(branches: Branches) -> NDArray[np.float64]:
    """Outlines (B, 2P, 2) of the branches, to be filled."""
    tangents_BPD = np.gradient(branches.points_BPD, axis=1)
    tangents_BPD /= np.linalg.norm(tangents_BPD, axis=2, keepdims=True) + 1e-9
    normals_BPD = np.stack([-tangents_BPD[..., 1], tangents_BPD[..., 0]], axis=-1)
    half_BP1 = branches.widths_BP[..., None] / 2
    left, right = branches.points_BPD + normals_BPD * half_BP1, branches.points_BPD - normals_BPD * half_BP1
    return np.concatenate([left, right[:, ::-1]], axis=1)


def paint_vessels(
    canvas: NDArray[np.float32], arteries: Branches, veins: Branches, shown: dict[str, float]
) -> NDArray[np.float32]:
    """Darkens the canvas (H, W, RGB) where vessels run; arteries lie over veins."""
    size = canvas.shape[0]
    cream = 0.10 * (shown["vessel_cream"] + 1.0)
    reflex = 0.25 + 0.13 * shown["artery_reflex"]
    vein_HW = coverage(veins, size)[..., None]
    artery_HW = coverage(arteries, size)[..., None]
    core = Branches(arteries.points_BPD, arteries.widths_BP * 0.4)
    core_HW = coverage(core, size)[..., None] * np.float32(max(0.0, reflex))
    vein_K = np.array([0.58, 0.36, 0.50], np.float32)
    artery_K = np.array([0.80, 0.46, 0.50], np.float32)
    pale_K = np.array([1.0, 0.85, 0.95], np.float32)
    vein_K, artery_K = vein_K + cream * (pale_K - vein_K), artery_K + cream * (pale_K - artery_K)
    canvas = canvas * (1 - vein_HW * (1 - vein_K))
    canvas = canvas * (1 - artery_HW * (1 - artery_K))
    return canvas + core_HW * np.array([0.30, 0.24, 0.06], np.float32)


def coverage(branches: Branches, size: int) -> NDArray[np.float32]:
    """How much of each pixel (H, W) the branches cover, 0 to 1, slightly soft as blood columns look."""
    # Drawn at twice the size with 1/16 pixel positions, so that a tenth of a pixel of width shows.
    double = np.zeros((2 * size, 2 * size), np.uint8)
    corners_BQD = np.round((ribbons(branches) + 1) * size * 16).astype(np.int32)
    for corners_QD in corners_BQD:
        cv2.fillPoly(double, [corners_QD], 255, cv2.LINE_AA, 4)
    half = cv2.resize(double, (size, size), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(half, (0, 0), size / 500).astype(np.float32) * np.float32(1 / 255)
