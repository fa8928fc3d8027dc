"""Cameras: optics, field of view, colour, noise and JPEG of a simulated fundus photograph."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sepl.data.simulate.retina import Canvas, grid


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


def photograph(canvas: Canvas, camera: Camera, shown: dict[str, float], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The picture (H, W, BGR) that a camera takes of a retina (H, W, RGB), through the eye's lens."""
    size = canvas.shape[0]
    x, y = grid(size)
    radius_HW = np.hypot(x, y) / np.float32(camera.field_radius)
    yellow = shown["lens_yellowing"]
    through_K = np.array([1.0, 1.0, 1.0]) * camera.colour * np.exp(yellow * np.array([-0.01, -0.07, -0.26]))
    exposure = 1 + 0.06 * rng.standard_normal()
    light_HW = exposure * (1 - camera.vignetting * np.minimum(radius_HW, 1) ** 4)
    picture = cv2.GaussianBlur(canvas, (0, 0), max(0.3, camera.blur * size / 1000)) * light_HW[..., None].astype(
        np.float32
    )
    picture = picture * through_K.astype(np.float32)
    grain_HW = rng.standard_normal((size, size), dtype=np.float32) * np.float32(camera.noise)
    picture = 255 * picture + grain_HW[..., None]
    inside_HW = np.clip((1 - radius_HW) * size / 2, 0, 1) * (np.abs(y) < camera.cut)
    return np.clip(picture * inside_HW[..., None], 0, 255).astype(np.uint8)[..., ::-1]


def encode_jpeg(picture_HWK: NDArray[np.uint8], camera: Camera) -> bytes:
    """The file as the camera stores it."""
    done, data = cv2.imencode(".jpg", picture_HWK, [cv2.IMWRITE_JPEG_QUALITY, camera.quality])
    assert done
    return data.tobytes()
