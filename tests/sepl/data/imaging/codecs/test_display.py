import numpy as np
import pytest
from writers.tiff import upright

from sepl.data.imaging.codecs.display import show, turn_upright

PIXELS = np.random.default_rng(2).integers(0, 256, (5, 7, 3), np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_turned_as_exif_says(orientation):
    turned = turn_upright(PIXELS, orientation)

    assert np.array_equal(turned, upright(PIXELS, orientation))
    assert turned.flags["C_CONTIGUOUS"]


def test_upright_pixels_of_8_bits_are_not_copied():
    assert show(PIXELS) is PIXELS


def test_grey_becomes_three_equal_channels():
    assert np.array_equal(show(PIXELS[:, :, 0].copy()), np.repeat(PIXELS[:, :, :1], 3, axis=2))


@pytest.mark.parametrize("scale", [1, 257])
def test_what_is_half_transparent_is_half_as_bright(scale):
    samples = np.dstack([PIXELS, np.full((5, 7), 128, np.uint8)]).astype(np.uint8 if scale == 1 else np.uint16) * scale

    assert np.abs(show(samples).astype(int) - PIXELS * (128 / 255)).max() <= 1


def test_opacity_is_multiplied_in_beyond_the_first_band_of_rows():
    tall = np.full((600, 3, 4), 200, np.uint8)
    tall[550:, :, 3] = 0

    shown = show(tall)

    assert set(shown[:550].ravel()) == {157}
    assert shown[550:].max() == 0
