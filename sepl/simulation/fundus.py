"""A fundus photograph of each eye of a person, drawn from the values of the channels."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sepl.simulation.camera import Camera, Picture, photograph
from sepl.simulation.channels import CHANNEL_NAMES
from sepl.simulation.lesions import paint_lesions
from sepl.simulation.retina import draw_anatomy, paint_background, paint_choroid, paint_disc
from sepl.simulation.vessels import draw_tree, paint_vessels

Eye = Literal["right", "left"]
EYES: tuple[Eye, Eye] = ("right", "left")


def draw_photograph(
    channels_C: NDArray[np.float64], eye: Eye, camera: Camera, pigment: float, size: int, rng: np.random.Generator
) -> Picture:
    """The photograph (size, size, 3 in OpenCV's order). The same generator state gives the same eye at any size."""
    shown = dict(zip(CHANNEL_NAMES, channels_C.tolist(), strict=True))
    anatomy = draw_anatomy(rng, pigment)
    width = 0.030 * np.exp(-0.35 * shown["artery_narrowing"])
    tortuosity = max(0.03, 0.16 + 0.06 * shown["artery_reflex"])
    arteries = draw_tree(rng, anatomy.disc, anatomy.fovea, width, tortuosity)
    veins = draw_tree(rng, anatomy.disc, anatomy.fovea, 0.036 * np.exp(0.33 * shown["vein_width"]), 0.12)
    canvas_KHW = paint_background(anatomy, shown, size)
    canvas_KHW = paint_choroid(canvas_KHW, anatomy, shown)
    canvas_KHW = paint_disc(canvas_KHW, anatomy, shown)
    canvas_KHW = paint_vessels(canvas_KHW, arteries, veins, shown)
    canvas_KHW = paint_lesions(canvas_KHW, anatomy, shown, rng)
    picture = photograph(canvas_KHW, camera, shown, rng)
    return np.ascontiguousarray(picture if eye == "right" else picture[:, ::-1])
