"""Can a picture be a fundus photograph at all? A few plain measures, each with a limit and a reason.

The limits lie outside everything seen among 1,810 real photographs of many cameras, over-exposed and vignetted ones
included (the ranges are in `Measures`), so that a poor photograph is scored while a page of text, a sky or an empty
picture is not. This is no grading of quality: a photograph that passes may still be too poor to trust.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_SIDE = 64  # pixels of the thumbnail that is measured: the limits mean the same at every image size
_DARK = 20  # of 255 in the brightest channel; the surround of the field of view lies below

MIN_COVERAGE = 0.25
BRIGHTNESS_RANGE = (8.0, 235.0)
MIN_WARMTH = 0.3
MIN_WARMTH_WITHOUT_SURROUND = 0.9
MIN_CONTRAST = 2.5
MAX_ROUGHNESS = 12.0


@dataclass(frozen=True)
class Measures:
    """Of the field of view: the pixels of a 64 × 64 thumbnail whose brightest channel is above 20 of 255."""

    coverage: float
    """Share of the picture that is field of view. Seen: 0.33 to 0.91; near 1 for a view cropped out of the field."""
    brightness: float
    """Mean over pixels and channels, 0 … 255. Seen: 19 to 219."""
    warmth: float
    """Share of the field whose red exceeds its blue by 5 % and 4 grey levels. Seen: 0.34 (1 in 1,000 below 0.52)."""
    contrast: float
    """Standard deviation of brightness, in grey levels. Seen: 3.1 to 66."""
    roughness: float
    """Mean absolute difference from the mean of the 3 × 3 neighbourhood, in grey levels. Seen: 0.6 to 5.7."""


def reason_to_reject(pixels: NDArray[np.uint8]) -> str | None:
    """Why pixels (H, W, 3) RGB, as `read_photograph` gives them, cannot be a fundus photograph; None when they can."""
    found = measure(pixels)
    low, high = BRIGHTNESS_RANGE
    has_surround = found.coverage < 0.97
    min_warmth = MIN_WARMTH if has_surround else MIN_WARMTH_WITHOUT_SURROUND
    checks = (
        (
            found.coverage < MIN_COVERAGE,
            f"field of view covers {found.coverage:.0%} of it, least is {MIN_COVERAGE:.0%}",
        ),
        (found.brightness < low, f"too dark: brightness {found.brightness:.0f} of 255, least is {low:.0f}"),
        (found.brightness > high, f"too bright: brightness {found.brightness:.0f} of 255, most is {high:.0f}"),
        (found.contrast < MIN_CONTRAST, f"no contrast: {found.contrast:.1f} grey levels, least is {MIN_CONTRAST}"),
        (
            found.warmth < min_warmth,
            f"not red: {found.warmth:.0%} of it is redder than blue, least is {min_warmth:.0%}",
        ),
        (found.roughness > MAX_ROUGHNESS, f"too rough: {found.roughness:.0f} grey levels, most is {MAX_ROUGHNESS:.0f}"),
    )
    reason = next((text for is_wrong, text in checks if is_wrong), None)
    return None if reason is None else f"not a fundus photograph: {reason}"


def measure(pixels: NDArray[np.uint8]) -> Measures:
    """The measures of pixels (H, W, 3) RGB."""
    small = pixels if pixels.shape[0] <= _SIDE else cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    is_field = small.max(axis=2) > _DARK
    if not is_field.any():
        return Measures(coverage=0.0, brightness=0.0, warmth=0.0, contrast=0.0, roughness=0.0)
    grey = small.mean(axis=2, dtype=np.float32)
    red, blue = small[..., 0].astype(np.float32), small[..., 2].astype(np.float32)
    interior = cv2.erode(is_field.astype(np.uint8), np.ones((3, 3))) > 0  # the rim's step is no roughness
    rough = np.abs(grey - cv2.blur(grey, (3, 3)))[interior]
    return Measures(
        coverage=float(is_field.mean()),
        brightness=float(grey[is_field].mean()),
        warmth=float((red > 1.05 * blue + 4)[is_field].mean()),
        contrast=float(grey[is_field].std()),
        roughness=float(rough.mean()) if len(rough) else 0.0,
    )
