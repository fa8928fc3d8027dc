"""Stored pixels become a network's input."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from sepl.models.pixels import to_input

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@given(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_it_is_the_textbook_normalisation(num: int, height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (num, height, width, 3), dtype=np.uint8)
    expected = ((pixels / 255 - np.array(MEAN)) / np.array(STD)).transpose(0, 3, 1, 2)

    images_BCHW = to_input(torch.from_numpy(pixels), MEAN, STD)

    assert images_BCHW.dtype == torch.float32
    np.testing.assert_allclose(images_BCHW.numpy(), expected, atol=2e-6)


def test_the_images_lie_channels_last_and_the_pixels_stay_as_they_were() -> None:
    pixels_BHWC = torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8)
    before = pixels_BHWC.clone()

    images_BCHW = to_input(pixels_BHWC, MEAN, STD)

    assert images_BCHW.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(pixels_BHWC, before)


def test_a_shorter_type_is_rounded_once_at_the_end() -> None:
    pixels_BHWC = torch.arange(0, 256, dtype=torch.uint8).view(1, 16, 16, 1).expand(-1, -1, -1, 3)

    images_BCHW = to_input(pixels_BHWC, MEAN, STD, torch.bfloat16)

    assert torch.equal(images_BCHW, to_input(pixels_BHWC, MEAN, STD).bfloat16())


def test_training_may_follow_predicting() -> None:
    pixels_BHWC = torch.randint(0, 256, (1, 4, 4, 3), dtype=torch.uint8)
    weight = torch.ones(1, requires_grad=True)
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)  # not used by another test: first made here
    with torch.inference_mode():
        to_input(pixels_BHWC, mean, std)

    (to_input(pixels_BHWC, mean, std) * weight).sum().backward()

    assert weight.grad is not None
