"""Frames of a DICOM file to 8-bit blue, green, red.

What colours a decoder hands over is decided for each transfer syntax:

- uncompressed, RLE, JPEG lossless, JPEG-LS: as stored, so the photometric interpretation names them;
- JPEG baseline and extended: the stream's own markers name them, the photometric interpretation only where they do not;
- JPEG 2000: the decoder undoes a component transform that the codestream notes, and then they are RGB whatever is
  written outside; without one the photometric interpretation names them.

More than 8 bits become 8 by dropping the low ones of those stored. Where 16 are said to be stored, the brightest value
tells the scale, as for PNG and TIFF (see `sepl.data.imaging.codecs.bit_depth`). Grey may have a window, see `shades`.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from sepl.data.imaging.codecs.bit_depth import drop_low_bits
from sepl.data.imaging.codecs.decoders import Samples, decode_jpeg, decode_jpeg_2000, decode_rle
from sepl.data.imaging.dicom.elements import Elements
from sepl.data.imaging.dicom.frames import find_coded_frames, find_plain_frame, join
from sepl.data.imaging.dicom.layout import PixelLayout
from sepl.data.imaging.dicom.shades import apply_palette, shade_grey
from sepl.errors import ImageError


def decode_frame(layout: PixelLayout, frame: int, reduction: int) -> NDArray[np.uint8]:
    """Pixels (height, width, 3) BGR of a frame, numbered from 0 and below `layout.num_frames`. Raises ImageError.

    `reduction` 1, 2, 4 or 8 divides the size where `layout.can_reduce`; elsewhere the size stays.
    """
    if layout.is_plain:
        return _to_bgr(_read_plain(layout, frame), layout)
    source = join(layout.elements.data, find_coded_frames(layout.elements, layout.num_frames)[frame])
    return _to_bgr(_decode(source, layout, reduction), layout)


def _decode(source: bytes, layout: PixelLayout, reduction: int) -> Samples:
    size = (layout.width, layout.height)
    if layout.is_rle:
        stored = decode_rle(source, size, layout.num_samples, layout.bits_allocated)
        return Samples(_stored_bits(stored, layout), layout.bits_stored, layout.is_ybr)
    if layout.is_jpeg_2000:
        return decode_jpeg_2000(source, size, layout.num_samples, layout.is_ybr)
    return decode_jpeg(source, size, layout.num_samples, layout.is_ybr, reduction if layout.can_reduce else 1)


def _read_plain(layout: PixelLayout, frame: int) -> Samples:
    start, end = find_plain_frame(layout.elements, layout.frame_size, layout.num_frames, frame)
    elements, size = layout.elements, layout.bits_allocated // 8
    if size == 1 and elements.order == ">" and elements.pixels_vr == b"OW":
        stored = _swap_pairs(elements, start, end)
    else:
        stored = np.frombuffer(elements.data, f"{elements.order}u{size}", count=(end - start) // size, offset=start)
        stored = stored.astype(f"u{size}", copy=False)
    if layout.is_subsampled:
        return Samples(_share_chroma(stored, layout), 8, layout.is_ybr)
    if layout.num_samples == 1:
        stored_HWC = stored.reshape(layout.height, layout.width, 1)
    elif layout.is_planar:
        stored_HWC = stored.reshape(3, layout.height, layout.width).transpose(1, 2, 0)
    else:
        stored_HWC = stored.reshape(layout.height, layout.width, 3)
    return Samples(_stored_bits(stored_HWC, layout), layout.bits_stored, layout.is_ybr)


def _swap_pairs(elements: Elements, start: int, end: int) -> NDArray[np.uint8]:
    """Bytes written two a big-endian word; a frame may start or end within one."""
    first = start - (start - elements.pixels_start) % 2
    last = end + (end - elements.pixels_start) % 2
    if last > elements.pixels_start + elements.pixels_length:
        raise ImageError("damaged DICOM", "an odd number of bytes in words of two")
    swapped = np.frombuffer(elements.data, ">u2", count=(last - first) // 2, offset=first).astype("<u2").view(np.uint8)
    return swapped[start - first : end - first]


def _share_chroma(stored: NDArray[np.uint8], layout: PixelLayout) -> NDArray[np.uint8]:
    """Y1 Y2 Cb Cr for each two pixels. The chroma stands at the first of the two; the second takes the mean of its
    neighbours, as PS3.3 C.7.6.3.1.2 places it."""
    pairs = stored.reshape(layout.height, layout.width // 2, 4)
    ybr_HWC = np.empty((layout.height, layout.width, 3), np.uint8)
    ybr_HWC[:, 0::2, 0], ybr_HWC[:, 1::2, 0] = pairs[..., 0], pairs[..., 1]
    chroma = pairs[..., 2:]
    following = np.concatenate([chroma[:, 1:], chroma[:, -1:]], axis=1)
    ybr_HWC[:, 0::2, 1:] = chroma
    ybr_HWC[:, 1::2, 1:] = (chroma.astype(np.uint16) + following + 1) // 2
    return ybr_HWC


def _stored_bits(stored: NDArray[np.unsignedinteger], layout: PixelLayout) -> NDArray[np.unsignedinteger]:
    """The bits that hold a value; the others may hold anything."""
    shift = layout.high_bit + 1 - layout.bits_stored
    if shift == 0 and layout.bits_stored == layout.bits_allocated:
        return stored
    return (stored >> shift) & (2**layout.bits_stored - 1)  # type: ignore[operator]


def _to_bgr(samples: Samples, layout: PixelLayout) -> NDArray[np.uint8]:
    if samples.is_bgr:
        return samples.values_HWC  # type: ignore[return-value]
    if layout.num_samples == 1:
        return _to_shades(samples, layout)
    rgb = drop_low_bits(samples.values_HWC, samples.bits)
    if samples.is_ybr:
        return cv2.cvtColor(np.ascontiguousarray(rgb[:, :, (0, 2, 1)]), cv2.COLOR_YCrCb2BGR)  # type: ignore[return-value]
    return np.ascontiguousarray(rgb[:, :, ::-1])


def _to_shades(samples: Samples, layout: PixelLayout) -> NDArray[np.uint8]:
    # a damaged stream may hold more than its bits, and a negative value is written in all bits of its word
    codes_HW = samples.values_HWC[:, :, 0] & (2**samples.bits - 1)
    if layout.is_palette:
        return apply_palette(codes_HW, samples.bits, layout.elements, is_signed=layout.is_signed)
    is_reversed = layout.photometric == "MONOCHROME1"
    return shade_grey(codes_HW, samples.bits, layout.elements, is_signed=layout.is_signed, is_reversed=is_reversed)
