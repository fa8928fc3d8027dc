import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.data.imaging.resize import halve_to


@given(height=st.integers(1, 300), width=st.integers(1, 300), least=st.integers(8, 64))
def test_the_longer_side_stays_as_long_as_asked_and_no_longer_than_twice_that(
    height: int, width: int, least: int
) -> None:
    smaller = halve_to(np.zeros((height, width, 3), np.uint8), least)

    longer = max(smaller.shape[:2])
    assert longer >= min(least, max(height, width))
    assert longer < 2 * least or min(smaller.shape[:2]) == 1


def test_a_pixel_is_the_mean_of_four_and_an_odd_row_is_left_out() -> None:
    pixels = np.zeros((5, 4, 3), np.uint8)
    pixels[:2, :2] = [[[10] * 3, [20] * 3], [[30] * 3, [40] * 3]]
    pixels[4] = 255

    smaller = halve_to(pixels, 2)

    assert smaller[:, :, 0].tolist() == [[25, 0], [0, 0]]


@pytest.mark.parametrize("shape", [(64, 64, 3), (127, 90, 3)])
def test_a_picture_that_is_small_already_is_the_same(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)

    assert np.array_equal(halve_to(pixels, 64), pixels)
