"""The vessel tree of one eye: arcades around the macula, nasal vessels, and branches that taper.

Coordinates are a right eye's as a camera shows it, in radii of the field of view, x to the right (nasal), y down, the
middle of the field at (0, 0). A branch is a centre line with a width at each point.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from sepl.simulation.channels import Values
from sepl.simulation.retina import Canvas, colour, enlarge

_VEIN = colour(0.54, 0.36, 0.44)
_ARTERY = colour(0.88, 0.44, 0.44)
_CREAM = colour(1.02, 0.88, 0.98)
"""Light that passes a full column of blood: red, green, blue."""
_EDGE = 1.3
"""Pixels that OpenCV's smooth edge adds to the width of an outline it fills, both sides together. Without allowing for
it, 4.5 times the width covered 1.3 times the area at 64 px; with it 4.1 times, and within 12 % as much at any size."""
_NUM_POINTS = 28
_CHILDREN = (4, 2)
"""Branches that each branch of a generation bears; the last generation bears none."""


@dataclass(frozen=True)
class Branches:
    """B branches of P points each."""

    points_BPD: Values
    """(B, P, 2) centre lines, x and y."""
    widths_BP: Values
    """(B, P) full widths."""

    def __add__(self, other: "Branches") -> "Branches":
        return Branches(
            np.concatenate([self.points_BPD, other.points_BPD]), np.concatenate([self.widths_BP, other.widths_BP])
        )


def draw_tree(rng: np.random.Generator, disc: Values, fovea: Values, width: float, tortuosity: float) -> Branches:
    """A tree that leaves the disc: four trunks, then generations of branches.

    `width` is a trunk's full width at the disc, in radii of the field; `tortuosity` the swing of heading in radians.
    """
    youngest = tree = _trunks(rng, disc, fovea, width, tortuosity)
    for num_children in _CHILDREN:
        youngest = _offspring(rng, youngest, num_children, fovea, tortuosity)
        tree = tree + youngest
    return tree


def _trunks(rng: np.random.Generator, disc: Values, fovea: Values, width: float, tortuosity: float) -> Branches:
    """Temporal arcades above and below the fovea, nasal vessels above and below."""
    # Heading 0 points from disc to fovea. Arcades leave almost vertically, bend around the fovea and close behind it;
    # nasal vessels run away from it.
    start = np.array([0.46, 0.46, 0.60, 0.60]) * np.pi + rng.normal(0, 0.14, 4)
    turn = np.array([-0.54, -0.54, 0.20, 0.20]) * np.pi + rng.normal(0, 0.16, 4)
    length = np.array([1.7, 1.7, 0.95, 0.95]) * rng.uniform(0.9, 1.1, 4)
    steps = np.linspace(0, 1, _NUM_POINTS)
    heading_BP = start[:, None] + turn[:, None] * np.sin(0.5 * np.pi * steps) + _swing(rng, 4, tortuosity, length)
    vertical = np.array([-1.0, 1.0, -1.0, 1.0])[:, None]
    directions_BPD = np.stack(
        [np.sign(fovea[0] - disc[0]) * np.cos(heading_BP), vertical * np.sin(heading_BP)], axis=-1
    )
    origin_B1D = disc + np.array([0.02, 0.05]) * rng.standard_normal((4, 1, 2))
    widths_B = width * np.array([1.0, 1.0, 0.7, 0.7]) * rng.uniform(0.9, 1.1, 4)
    return Branches(_walk(origin_B1D, directions_BPD, length), widths_B[:, None] * (1 - 0.6 * steps))


def _offspring(
    rng: np.random.Generator, parents: Branches, num_children: int, fovea: Values, tortuosity: float
) -> Branches:
    """Branches on alternate sides of each parent, thinner and shorter, that bend back to its direction."""
    num_parents = len(parents.points_BPD)
    parent_B = np.repeat(np.arange(num_parents), num_children)
    num = len(parent_B)
    place_B = np.tile(np.linspace(0.2, 0.8, num_children), num_parents) + rng.uniform(-0.12, 0.12, num)
    point_B = (place_B * (_NUM_POINTS - 1)).astype(int)
    origin_BD = parents.points_BPD[parent_B, point_B]
    along_BD = parents.points_BPD[parent_B, point_B + 1] - origin_BD
    side_B = np.where(np.arange(num) % 2, 1.0, -1.0) * rng.choice([1.0, -1.0], num_parents)[parent_B]
    heading_B = np.arctan2(along_BD[:, 1], along_BD[:, 0]) + side_B * rng.uniform(0.5, 0.95, num)
    length_B = np.linalg.norm(along_BD, axis=1) * (_NUM_POINTS - 1) * rng.uniform(0.4, 0.75, num)
    length_B = np.minimum(length_B, 0.8 * np.linalg.norm(origin_BD - fovea, axis=1))  # the fovea has no vessels
    steps = np.linspace(0, 1, _NUM_POINTS)
    bend_B = -side_B * rng.uniform(-0.2, 1.2, num)
    heading_BP = heading_B[:, None] + bend_B[:, None] * steps + _swing(rng, num, tortuosity, length_B)
    directions_BPD = np.stack([np.cos(heading_BP), np.sin(heading_BP)], axis=-1)
    widths_B = parents.widths_BP[parent_B, point_B] * rng.uniform(0.5, 0.8, num)
    return Branches(_walk(origin_BD[:, None], directions_BPD, length_B), widths_B[:, None] * (1 - 0.7 * steps))


def _swing(rng: np.random.Generator, num: int, tortuosity: float, length_B: Values) -> Values:
    """Heading's swing (B, P): two waves along each branch."""
    along_BP = length_B[:, None] * np.linspace(0, 1, _NUM_POINTS)
    phase_WB = rng.uniform(0, 2 * np.pi, (2, num, 1))
    rate_WB = 2 * np.pi / rng.uniform([[[0.16]], [[0.35]]], [[[0.28]], [[0.6]]], (2, num, 1))
    return tortuosity * np.sin(rate_WB * along_BP + phase_WB).sum(axis=0) * np.minimum(1, along_BP / 0.1)


def _walk(origin_B1D: Values, directions_BPD: Values, length_B: Values) -> Values:
    steps_BPD = directions_BPD * (length_B / (_NUM_POINTS - 1))[:, None, None]
    return origin_B1D + np.cumsum(steps_BPD, axis=1) - steps_BPD[:, :1]


def ribbons(branches: Branches) -> Values:
    """Outlines (B, 2P, 2) of the branches, to be filled."""
    tangents_BPD = np.gradient(branches.points_BPD, axis=1)
    tangents_BPD /= np.linalg.norm(tangents_BPD, axis=2, keepdims=True) + 1e-9
    normals_BPD = np.stack([-tangents_BPD[..., 1], tangents_BPD[..., 0]], axis=-1)
    half_BP1 = branches.widths_BP[..., None] / 2
    left, right = branches.points_BPD + normals_BPD * half_BP1, branches.points_BPD - normals_BPD * half_BP1
    return np.concatenate([left, right[:, ::-1]], axis=1)


def paint_vessels(canvas_KHW: Canvas, arteries: Branches, veins: Branches, shown: dict[str, float]) -> Canvas:
    """Darkens the canvas where vessels run; arteries lie over veins, carry a bright reflex and warm what is beside."""
    size = canvas_KHW.shape[1]
    cream = 0.08 * (shown["vessel_cream"] + 1.0)
    copper = 1.0 + 0.7 * shown["artery_reflex"]
    artery_HW = coverage(arteries, size)
    core_HW = coverage(Branches(arteries.points_BPD, 0.5 * arteries.widths_BP), size)
    canvas_KHW = canvas_KHW * (1 - coverage(veins, size) * (1 - _VEIN - cream * (_CREAM - _VEIN)))
    canvas_KHW = canvas_KHW * (1 - artery_HW * (1 - _ARTERY - cream * (_CREAM - _ARTERY)))
    warm_HW = 0.15 * max(0.0, copper) * core_HW + 0.10 * copper * _surroundings(artery_HW)
    return canvas_KHW + warm_HW * colour(1.0, 0.75, 0.05)


def _surroundings(coverage_HW: Canvas) -> Canvas:
    """The coverage spread over a fourteenth of the field to either side."""
    coarse = cv2.GaussianBlur(cv2.resize(coverage_HW, (64, 64), interpolation=cv2.INTER_AREA), (0, 0), 2.2)
    return enlarge(np.asarray(coarse, np.float32), coverage_HW.shape[0])


def coverage(branches: Branches, size: int) -> Canvas:
    """How much of each pixel (H, W) the branches cover, 0 to 1, slightly soft as blood columns look."""
    double = np.zeros((2 * size, 2 * size), np.uint8)
    widths_BP = branches.widths_BP * size
    inner = Branches(branches.points_BPD, np.maximum(widths_BP - _EDGE, 0.05) / size)
    shades_B = 255 * np.minimum(1, widths_BP.mean(axis=1) / _EDGE)  # what is thinner than the edge is fainter
    corners_BQD = np.round((ribbons(inner) + 1) * size * 16).astype(np.int32)  # in sixteenths of a pixel
    for corners_QD, shade in zip(corners_BQD, shades_B.tolist(), strict=True):
        cv2.fillPoly(double, [corners_QD], shade, cv2.LINE_AA, 4)
    half = cv2.resize(double, (size, size), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(half, (0, 0), size / 500).astype(np.float32) / 255
