"""From the bits that a camera used to the 8 that a network sees."""

import numpy as np
from numpy.typing import NDArray

_DEPTHS = (8, 10, 12, 14, 16)


def usual_bits(brightest: int) -> int:
    """A 12-bit camera writes 12 bits into 16: the fewest usual bits that hold the brightest value are the scale."""
    return next(bits for bits in _DEPTHS if brightest < 2**bits)


def drop_low_bits(values: NDArray[np.unsignedinteger], bits: int) -> NDArray[np.uint8]:
    """The high 8 of so many bits; of 16, `usual_bits` count."""
    if values.dtype == np.uint8:
        return values  # type: ignore[return-value]
    used = usual_bits(int(values.max())) if bits == 16 else max(bits, 8)
    narrow = np.empty(values.shape, np.uint8)
    np.right_shift(values, used - 8, out=narrow, casting="unsafe")  # no copy of the wide values between
    return narrow
