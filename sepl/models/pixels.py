"""Pixels as they are stored become what a network takes."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor


def to_input(
    pixels_BHWC: Tensor, mean: Sequence[float], std: Sequence[float], dtype: torch.dtype = torch.float32
) -> Tensor:
    """Normalised images (B, 3, H, W) of `dtype`, channels last in memory, on the device of the pixels.

    `pixels_BHWC` is uint8 RGB; `mean` and `std` are per channel, of values in 0…1. Stored pixels already lie channels
    last, so that this is a view, one multiplication that makes the floating-point copy, and one subtraction in place.
    The arithmetic is float32 whatever `dtype` is: bfloat16 has no room for both the step of a pixel and the mean.
    """
    scale_C11, offset_C11 = _constants(tuple(mean), tuple(std), pixels_BHWC.device)
    images_BCHW = torch.mul(pixels_BHWC.permute(0, 3, 1, 2), scale_C11).sub_(offset_C11)
    return images_BCHW.to(dtype)


@lru_cache(maxsize=16)
def _constants(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Factor and offset, kept: sending them to a GPU at every batch would wait for all the work queued there."""
    with torch.inference_mode(False):  # so that training may use what was first made while predicting
        scale_C = torch.tensor([1 / (255 * s) for s in std], device=device)
        offset_C = torch.tensor([m / s for m, s in zip(mean, std, strict=True)], device=device)
    return scale_C.view(-1, 1, 1), offset_C.view(-1, 1, 1)
