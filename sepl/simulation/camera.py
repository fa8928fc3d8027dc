"""Cameras: optics, field of view, colour, noise and JPEG of a simulated fundus photograph."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sepl.simulation.retina import Canvas, colour, grid

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Camera:
    """One make of fundus camera."""

    name: str
    colour: tuple[float, float, float]
    """Gains of red, green, blue."""
    field_radius: float
    """Of the circle, as a share of half the picture."""
    cut: float
    """Top and bottom beyond this share of half the picture are dark; 1 leaves the circle whole."""
    blur: float
    """Standard deviation in thousandths of the picture's side."""
    vignetting: float
    """Light lost at the rim."""
    noise: float
    """Standard deviation of a pixel, in grey levels of 255."""
    quality: int
    """JPEG quality."""


CAMERAS: tuple[Camera, ...] = (
    Camera("tabletop", (1.00, 1.00, 1.00), 0.97, 1.00, 1.6, 0.30, 2.0, 92),
    Camera("wide", (1.05, 0.96, 0.94), 0.98, 0.84, 2.4, 0.45, 3.0, 88),
    Camera("handheld", (0.95, 1.02, 1.10), 0.94, 1.00, 3.6, 0.55, 4.5, 82),
)


def photograph(canvas_KHW: Canvas, camera: Camera, shown: dict[str, float], rng: np.random.Generator) -> Picture:
    """The picture (H, W, K in OpenCV's order: blue, green, red) that a camera takes of a retina through the lens."""
    size = canvas_KHW.shape[1]
    x, y = grid(size)
    radius_HW = np.hypot(x, y) / camera.field_radius
    seen = colour(*camera.colour) * np.exp(shown["lens_yellowing"] * colour(-0.01, -0.07, -0.26))
    exposure = float(1 + 0.06 * rng.standard_normal())
    light_HW = 255 * exposure * (1 - camera.vignetting * np.minimum(radius_HW, 1) ** 4)
    sharp_KHW = np.clip(canvas_KHW * seen * light_HW, 0, 255).astype(np.uint8)
    grain_HW = (camera.noise * rng.standard_normal((size, size), dtype=np.float32)).round().astype(np.int16)
    inside_HW = (255 * np.clip((1 - radius_HW) * (size / 2), 0, 1) * (np.abs(y) < camera.cut)).astype(np.uint8)
    blur = max(0.3, camera.blur * size / 1000)
    blurred = (cv2.GaussianBlur(plane_HW, (0, 0), blur) for plane_HW in sharp_KHW[::-1])
    grainy = (cv2.add(plane_HW, grain_HW, dtype=cv2.CV_8U) for plane_HW in blurred)
    return np.asarray(cv2.merge([cv2.multiply(plane_HW, inside_HW, scale=1 / 255) for plane_HW in grainy]), np.uint8)


def encode_jpeg(picture_HWK: Picture, camera: Camera) -> bytes:
    """The file as the camera stores it."""
    done, data = cv2.imencode(".jpg", picture_HWK, [cv2.IMWRITE_JPEG_QUALITY, camera.quality])
    assert done
    return data.tobytes()
