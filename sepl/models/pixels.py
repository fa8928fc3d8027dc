"""Pixels as they are stored become what a network takes."""

from collections.abc import Sequence

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
    scale_C11 = torch.tensor([1 / (255 * s) for s in std], device=pixels_BHWC.device).view(-1, 1, 1)
    offset_C11 = torch.tensor([m / s for m, s in zip(mean, std, strict=True)], device=pixels_BHWC.device).view(-1, 1, 1)
    images_BCHW = torch.mul(pixels_BHWC.permute(0, 3, 1, 2), scale_C11).sub_(offset_C11)
    return images_BCHW.to(dtype)
