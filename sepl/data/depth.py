"""How many bits a camera used of the 16 that a file gives it."""

_DEPTHS = (8, 10, 12, 14, 16)


def usual_bits(brightest: int) -> int:
    """A 12-bit camera writes 12 bits into 16: the fewest usual bits that hold the brightest value are the scale."""
    return next(bits for bits in _DEPTHS if brightest < 2**bits)
