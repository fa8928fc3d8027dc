"""From the bits that a camera used to the 8 that a network sees.

A 12-bit camera writes 12 bits into a file of 16, which does not say so: the brightest value tells. A photograph whose
brightest value is in the upper half of 8, 10, 12, 14 or 16 bits has just that scale. Between the upper half of one and
that of the next the scale grows as the square of the brightest value, so that two photographs whose brightest values
are nearly one are nearly as bright, and no scale hides the picture in the dark half of the levels.
"""

import numpy as np
from numpy.typing import NDArray

_STEP = 2
"""Bits from one usual depth of cameras to the next; the least is 8, the most 16."""


def full_scale(brightest: int) -> float:
    """The value that is one more than white, 2^8 to 2^16, of a 16-bit file with this brightest value."""
    if brightest < 2**8:
        return 2.0**8
    below = 2.0 ** ((brightest.bit_length() - 1) // _STEP * _STEP)  # the last usual depth that does not hold it
    return min(below * ((brightest + 1) / below) ** 2, below * 2**_STEP)


def drop_low_bits(values: NDArray[np.unsignedinteger], bits: int) -> NDArray[np.uint8]:
    """The high 8 of so many bits; of 16, those of `full_scale`."""
    if values.dtype == np.uint8:
        return values  # type: ignore[return-value]
    full = full_scale(int(values.max())) if bits == 16 else 2.0 ** max(bits, 8)
    shift = int(np.log2(full)) - 8
    if full == 2.0 ** (shift + 8):
        narrow = np.empty(values.shape, np.uint8)
        np.right_shift(values, shift, out=narrow, casting="unsafe")  # no copy of the wide values between
        return narrow
    return shades_of(full, 2**16)[values]


def shades_of(full: float, num_values: int) -> NDArray[np.uint8]:
    """(num_values,): the 8-bit level of each value on this scale; 255 for what is beyond it."""
    return np.minimum(np.arange(num_values) * (256 / full), 255).astype(np.uint8)
