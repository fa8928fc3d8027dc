"""Augmentation and normalisation of a whole batch on the device that holds it.

Flips and rotation are one resampling; colour and normalisation are one affine map of (red, green, blue). Why by hand:
docs/decisions/0004-augmentation.md.

    B photographs · C colours · H, W pixels · a trailing 2 or 3 is a row of a matrix
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sepl.data.imaging.photograph import Normalisation

MAX_ANGLE = math.radians(15.0)
"""Of rotation, at strength 1, as in the released code."""
ROTATED_SHARE = 0.5
"""The others keep their pixels, so that the network also sees pictures as sharp as those it is validated on."""
COLOUR_SPREAD = 0.1
"""Brightness, contrast and saturation are drawn from 1 ± this, at strength 1: colour itself carries factors (age)."""
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green, blue in grey (ITU-R BT.601)."""

CPU_CHUNK_PIXELS = 2**16
"""A CPU works on so many pixels at a time, which stay in its cache: half the time for 64 photographs of 128 px."""


@dataclass(frozen=True)
class Warp:
    """What happens to each photograph of a batch."""

    rotation_B22: Tensor | None
    """From a place in the result to the place in the photograph, both from −1 to 1 (x, y); None: stay where you are."""
    colour_B33: Tensor
    """From pixel values 0 … 255 to the network's input, without the offset."""
    offset_B3: Tensor


class Augmenter:
    """Turns stored pixels into a network's normalised input, each photograph changed at random.

    Strength 0 only normalises. Above 0 each photograph is flipped either way with probability ½, half of them are
    rotated by up to ±15° · strength, and brightness, contrast and saturation change by up to 10 % · strength. Nothing
    waits for the device.
    """

    def __init__(self, normalisation: Normalisation, strength: float, generator: torch.Generator) -> None:
        self._strength = strength
        self._generator = generator
        self._device = generator.device
        self._mean_3 = torch.tensor(normalisation.mean, device=self._device)
        self._std_3 = torch.tensor(normalisation.std, device=self._device)
        self._luma_3 = torch.tensor(LUMA, device=self._device)
        self._identity_33 = torch.eye(3, device=self._device)

    def __call__(self, pixels_BHWC: Tensor) -> Tensor:
        """Float32 images (B, 3, H, W) from uint8 pixels (B, H, W, 3)."""
        return apply_warp(pixels_BHWC, self._draw(len(pixels_BHWC)))

    def _draw(self, num_photographs: int) -> Warp:
        if self._strength == 0:
            ones_B = torch.ones(num_photographs, device=self._device)
            return Warp(None, *self._colours(ones_B, ones_B, ones_B))
        brightness_B, contrast_B, saturation_B = 1 + COLOUR_SPREAD * self._strength * self._uniform(3, num_photographs)
        colour_B33, offset_B3 = self._colours(brightness_B, contrast_B, saturation_B)
        return Warp(self._rotations(num_photographs), colour_B33, offset_B3)

    def _rotations(self, num_photographs: int) -> Tensor:
        angle_B, chosen_B, flip_x_B, flip_y_B = self._uniform(4, num_photographs)
        angle_B = angle_B * (MAX_ANGLE * self._strength) * (chosen_B < 2 * ROTATED_SHARE - 1)
        cosine_B, sine_B = angle_B.cos(), angle_B.sin()
        row_x_B2 = torch.stack([cosine_B, -sine_B], dim=1) * _either_way(flip_x_B)[:, None]
        row_y_B2 = torch.stack([sine_B, cosine_B], dim=1) * _either_way(flip_y_B)[:, None]
        return torch.stack([row_x_B2, row_y_B2], dim=1)

    def _colours(self, brightness_B: Tensor, contrast_B: Tensor, saturation_B: Tensor) -> tuple[Tensor, Tensor]:
        """Brightness scales, saturation moves from grey, contrast moves from the mean; then normalisation."""
        saturation_B11 = saturation_B[:, None, None]
        saturated_B33 = saturation_B11 * self._identity_33 + (1 - saturation_B11) * self._luma_3
        colour_B33 = (brightness_B * contrast_B)[:, None, None] * saturated_B33
        pivot = self._mean_3 @ self._luma_3
        offset_B3 = (1 - contrast_B)[:, None] * pivot - self._mean_3
        return colour_B33 / (255 * self._std_3[:, None]), offset_B3 / self._std_3

    def _uniform(self, *shape: int) -> Tensor:
        """Between −1 and 1."""
        return torch.rand(shape, generator=self._generator, device=self._device) * 2 - 1


@torch.no_grad()
def apply_warp(pixels_BHWC: Tensor, warp: Warp) -> Tensor:
    """Images (B, 3, H, W) as `warp` says, channels last in memory on a GPU.

    On a CPU the planes stay apart: convolutions of three channels are faster so (70 against 85 ms for a step of
    test_efficientnet at 64 px), and so is every line below.
    """
    num_photographs, height, width, _ = pixels_BHWC.shape
    images_BCHW = torch.empty(num_photographs, 3, height, width, device=pixels_BHWC.device)
    on_cpu = pixels_BHWC.device.type == "cpu"
    at_once = max(1, CPU_CHUNK_PIXELS // (height * width)) if on_cpu else num_photographs
    for start in range(0, num_photographs, at_once):
        _warp_into(images_BCHW, pixels_BHWC, warp, slice(start, start + at_once))
    return images_BCHW if on_cpu else images_BCHW.contiguous(memory_format=torch.channels_last)


def _warp_into(images_BCHW: Tensor, pixels_BHWC: Tensor, warp: Warp, rows: slice) -> None:
    target_BCHW = images_BCHW[rows]
    planes_BCHW = torch.empty_like(target_BCHW).copy_(pixels_BHWC[rows].permute(0, 3, 1, 2))
    if warp.rotation_B22 is not None:
        grid_BHW2 = _grid(warp.rotation_B22[rows], *planes_BCHW.shape[-2:])
        # The border's colour goes on outside: black around a round field, and no seam where the field is cut off.
        planes_BCHW = functional.grid_sample(planes_BCHW, grid_BHW2, padding_mode="border", align_corners=False)
    offset_BC1, values_BCN = warp.offset_B3[rows, :, None], planes_BCHW.flatten(2)
    torch.baddbmm(offset_BC1, warp.colour_B33[rows], values_BCN, out=target_BCHW.view(values_BCN.shape))


def _grid(rotation_B22: Tensor, height: int, width: int) -> Tensor:
    """Places (B, H, W, 2) to sample; a sum of a row and a column each, a tenth of the time of `affine_grid`."""
    x_W, y_H = (_centres(size, rotation_B22.device) for size in (width, height))
    grid_BHW2 = torch.empty(len(rotation_B22), height, width, 2, device=rotation_B22.device)
    for axis in range(2):
        along_x_B1W = rotation_B22[:, axis, 0, None, None] * x_W
        along_y_BH1 = rotation_B22[:, axis, 1, None, None] * y_H[:, None]
        torch.add(along_x_B1W, along_y_BH1, out=grid_BHW2[..., axis])
    return grid_BHW2


def _either_way(uniform_B: Tensor) -> Tensor:
    """−1 or 1; `sign` would once in a while be 0."""
    return (uniform_B < 0) * 2 - 1


def _centres(size: int, device: torch.device) -> Tensor:
    return (torch.arange(size, device=device) + 0.5) * (2 / size) - 1
