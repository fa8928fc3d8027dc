"""Single-channel pixels of DICOM to 8-bit grey or colour: windows, reversed scales and palettes."""

import cv2
import numpy as np
from numpy.typing import NDArray

from sepl.data.imaging.codecs.bit_depth import full_scale, shades_of
from sepl.data.imaging.dicom.elements import Elements
from sepl.errors import ImageError

_WINDOW_CENTRE, _WINDOW_WIDTH, _INTERCEPT, _SLOPE = 0x00281050, 0x00281051, 0x00281052, 0x00281053
_PALETTE_DESCRIPTORS = (0x00281101, 0x00281102, 0x00281103)  # red, green, blue
_PALETTE_DATA = (0x00281201, 0x00281202, 0x00281203)
SHADE_TAGS = (_WINDOW_CENTRE, _WINDOW_WIDTH, _INTERCEPT, _SLOPE, *_PALETTE_DESCRIPTORS, *_PALETTE_DATA)


def shade_grey(
    codes_HW: NDArray[np.unsignedinteger], bits: int, elements: Elements, *, is_signed: bool, is_reversed: bool
) -> NDArray[np.uint8]:
    """Pixels (height, width, 3) of stored codes of so many bits; `is_reversed` when 0 is white.

    Grey of more than 8 bits with a window (centre and width, the linear function of PS3.3 C.11.2.1.2) is shown through
    it; without one, and all of 8 bits, by the bits stored.
    """
    window = _read_window(elements) if bits > 8 else None
    values = _values(bits, is_signed)
    if window is not None:
        centre, width, slope, intercept = window
        shown = (values * slope + intercept - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5
        shades = np.clip(np.rint(255 * shown), 0, 255).astype(np.uint8)
    elif bits == 16 and not is_signed:
        shades = shades_of(full_scale(int(codes_HW.max())), 2**bits)
    else:
        from_zero = (values + 2 ** (bits - 1) if is_signed else values).astype(np.uint32)
        spread = from_zero * 255 // (2**bits - 1) if bits < 8 else from_zero >> (bits - 8)
        shades = spread.astype(np.uint8)
    shades = 255 - shades if is_reversed else shades
    return cv2.cvtColor(shades[codes_HW], cv2.COLOR_GRAY2BGR)  # type: ignore[return-value]


def apply_palette(
    codes_HW: NDArray[np.unsignedinteger], bits: int, elements: Elements, *, is_signed: bool
) -> NDArray[np.uint8]:
    """Pixels (height, width, 3) BGR of codes of so many bits. Raises ImageError when the palette is not whole."""
    values = _values(bits, is_signed).astype(np.int64)
    table = np.stack([_read_palette(elements, channel, values, is_signed) for channel in (2, 1, 0)], axis=1)
    return table[codes_HW]


def _values(bits: int, is_signed: bool) -> NDArray[np.float64]:
    """(2^bits,): the number that each code stands for."""
    values = np.arange(2**bits, dtype=np.float64)
    if is_signed:
        values[2 ** (bits - 1) :] -= 2**bits
    return values


def _read_window(elements: Elements) -> tuple[float, float, float, float] | None:
    """(centre, width, slope, intercept); None without a window that shows anything."""
    centre, width = elements.decimal(_WINDOW_CENTRE), elements.decimal(_WINDOW_WIDTH)
    if centre is None or width is None or width < 1:
        return None
    slope, intercept = elements.decimal(_SLOPE), elements.decimal(_INTERCEPT)
    return centre, width, 1.0 if slope is None else slope, intercept or 0.0


def _read_palette(elements: Elements, channel: int, values: NDArray[np.int64], is_signed: bool) -> NDArray[np.uint8]:
    """The 8-bit level of one colour for each of these values (PS3.3 C.7.6.3.1.5 and .6)."""
    descriptor = elements.numbers(_PALETTE_DESCRIPTORS[channel])
    data = elements.values.get(_PALETTE_DATA[channel], b"")
    if not data and len(descriptor) == 3:
        raise ImageError("unsupported DICOM", "a palette in segments or without values")
    if len(descriptor) != 3 or descriptor[2] not in (8, 16):
        raise ImageError("damaged DICOM", "no palette beside PALETTE COLOR")
    num_entries, first, bits = descriptor[0] or 65536, descriptor[1], descriptor[2]
    words = np.frombuffer(data[: len(data) // 2 * 2], f"{elements.order}u2").astype("<u2")
    # 8-bit entries come two a word, or, from old writers, one a word
    entries = words if bits == 16 or len(words) >= num_entries else words.view(np.uint8)
    if len(entries) < num_entries:
        raise ImageError("damaged DICOM", f"a palette of {len(entries)} colours, should be {num_entries}")
    entries = entries[:num_entries]
    levels = (entries >> 8 if entries.max() > 255 else entries).astype(np.uint8)
    if is_signed and first >= 2**15:
        first -= 2**16
    return levels[np.clip(values - first, 0, num_entries - 1)]
