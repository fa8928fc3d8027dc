import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.data.imaging.codecs.bit_depth import drop_low_bits, full_scale


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_a_well_exposed_photograph_has_the_scale_of_its_camera(bits):
    for brightest in (2 ** (bits - 1), 2**bits * 3 // 4, 2**bits - 1):
        assert full_scale(brightest) == 2**bits


@given(brightest=st.integers(1, 65534))
def test_the_scale_never_jumps(brightest):
    following = full_scale(brightest + 1)

    assert 1 <= following / full_scale(brightest) <= ((brightest + 1) / brightest) ** 2 * (1 + 1e-9)


@given(brightest=st.integers(256, 65535))
def test_the_brightest_value_is_in_the_upper_half(brightest):
    shown = drop_low_bits(np.array([[brightest]], np.uint16), 16)[0, 0]

    assert 127 <= shown <= 255


@pytest.mark.parametrize("brightest", [1024, 4096, 16384])
def test_two_photographs_of_nearly_one_peak_have_nearly_one_brightness(brightest):
    ramp = np.linspace(0, brightest - 4, 10_000).astype(np.uint16)
    dimmer, brighter = ramp.copy(), ramp.copy()
    dimmer[-1], brighter[-1] = brightest - 4, brightest + 6

    difference = drop_low_bits(dimmer, 16).astype(int) - drop_low_bits(brighter, 16)
    assert np.abs(difference).max() <= 6


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=50))
def test_what_is_brighter_is_never_shown_darker(values):
    shown = drop_low_bits(np.array(sorted(values), np.uint16), 16)

    assert shown.dtype == np.uint8
    assert (np.diff(shown.astype(int)) >= 0).all()


def test_bits_that_are_told_are_dropped_whatever_the_brightest_value():
    assert drop_low_bits(np.array([100, 1020], np.uint16), 12).tolist() == [6, 63]


def test_8_bits_stay_as_they_are():
    values = np.arange(256, dtype=np.uint8)

    assert drop_low_bits(values, 16) is values
