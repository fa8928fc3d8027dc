"""Frames of a DICOM file to 8-bit blue, green, red.

What colours a decoder hands over is decided for each transfer syntax:

- uncompressed, RLE, JPEG lossless, JPEG-LS: as stored, so the photometric interpretation names them;
- JPEG baseline and extended: the stream's own markers name them, the photometric interpretation only where they do not;
- JPEG 2000: the decoder undoes a component transform that the codestream notes, and then they are RGB whatever is
  written outside; without one the photometric interpretation names them.

More than 8 bits become 8 by dropping the low ones of those stored. Where 16 are said to be stored, the fewest usual
bits that hold the brightest value are, as for PNG and TIFF. Grey of more than 8 bits with a window (centre and width,
the linear function of DICOM PS3.3 C.11.2.1.2) is shown through it.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sepl.data.codecs import Samples, decode_jpeg, decode_jpeg_2000, decode_rle
from sepl.data.depth import usual_bits
from sepl.data.dicom import read_num_frames
from sepl.data.dicom_elements import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    Elements,
    read_elements,
)
from sepl.data.dicom_frames import EXTENDED_OFFSETS, find_coded_frames, find_plain_frame, join
from sepl.errors import ImageError

_SAMPLES, _PHOTOMETRIC, _PLANAR, _NUM_FRAMES = 0x00280002, 0x00280004, 0x00280006, 0x00280008
_ROWS, _COLUMNS = 0x00280010, 0x00280011
_ALLOCATED, _STORED, _HIGH_BIT, _SIGNED = 0x00280100, 0x00280101, 0x00280102, 0x00280103
_WINDOW_CENTRE, _WINDOW_WIDTH, _INTERCEPT, _SLOPE = 0x00281050, 0x00281051, 0x00281052, 0x00281053
_PALETTE_DESCRIPTORS = (0x00281101, 0x00281102, 0x00281103)  # red, green, blue
_PALETTE_DATA = (0x00281201, 0x00281202, 0x00281203)
_TAGS = (
    *(_SAMPLES, _PHOTOMETRIC, _PLANAR, _NUM_FRAMES, _ROWS, _COLUMNS, _ALLOCATED, _STORED, _HIGH_BIT, _SIGNED),
    *(_WINDOW_CENTRE, _WINDOW_WIDTH, _INTERCEPT, _SLOPE, *_PALETTE_DESCRIPTORS, *_PALETTE_DATA, EXTENDED_OFFSETS),
)

_PLAIN = (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED)
_RLE = "1.2.840.10008.1.2.5"
_JPEG_LOSSY = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
_JPEG_LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
_JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
_JPEG_2000 = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (90, 91, 201, 202, 203))  # the last three: HTJ2K
_GREY = ("MONOCHROME1", "MONOCHROME2")
_YBR = ("YBR_FULL", "YBR_FULL_422")
_TRANSFORMED = ("YBR_RCT", "YBR_ICT")  # by JPEG 2000's own component transform
_PALETTE = "PALETTE COLOR"


@dataclass(frozen=True)
class PixelLayout:
    """How the frames of a file are stored. Sizes in pixels."""

    elements: Elements
    width: int
    height: int
    num_frames: int
    photometric: str
    num_samples: int
    is_planar: bool
    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool

    @property
    def is_plain(self) -> bool:
        return self.elements.syntax in _PLAIN

    @property
    def can_reduce(self) -> bool:
        """Whether frames can be decoded at a half, a quarter or an eighth of their size."""
        return self.elements.syntax in _JPEG_LOSSY and self.bits_stored == 8

    @property
    def is_subsampled(self) -> bool:
        """Whether two uncompressed pixels share their chroma. Many writers keep the name after they undid it."""
        whole = 3 * self.width * self.height * self.num_frames
        return self.is_plain and self.photometric == "YBR_FULL_422" and self.elements.pixels_length < whole

    @property
    def frame_size(self) -> int:
        """Bytes of an uncompressed frame."""
        samples_per_pixel = 2 if self.is_subsampled else self.num_samples
        return self.width * self.height * samples_per_pixel * self.bits_allocated // 8


def read_layout(source: bytes) -> PixelLayout:
    """The layout of a DICOM file's pixels. Raises ImageError when it has none, or none of a kind that we decode."""
    elements = read_elements(source, _TAGS)
    if not elements.pixels_start:
        raise ImageError("no pixels: the file holds no pixel data")
    photometric = elements.text(_PHOTOMETRIC).upper()
    allocated = elements.number(_ALLOCATED, 8)
    stored = elements.number(_STORED, allocated)
    layout = PixelLayout(
        elements=elements,
        width=elements.number(_COLUMNS, 0),
        height=elements.number(_ROWS, 0),
        num_frames=read_num_frames(elements),
        photometric=photometric,
        num_samples=elements.number(_SAMPLES, 1),
        is_planar=elements.number(_PLANAR, 0) == 1,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=elements.number(_HIGH_BIT, stored - 1),
        is_signed=elements.number(_SIGNED, 0) == 1,
    )
    _check(layout)
    return layout


def _check(layout: PixelLayout) -> None:
    """Raises ImageError for what no decoder here takes. Quotes nothing from the file but numbers and known words."""
    syntax = layout.elements.syntax
    if syntax not in (*_PLAIN, _RLE, *_JPEG_LOSSY, *_JPEG_LOSSLESS, *_JPEG_LS, *_JPEG_2000):
        name = syntax if set(syntax) <= set("0123456789.") else "unreadable"
        raise ImageError(f"unsupported DICOM: transfer syntax {name}")
    needed = 1 if layout.photometric in (*_GREY, _PALETTE) else 3
    if layout.photometric not in (*_GREY, _PALETTE, "RGB", *_YBR, *_TRANSFORMED):
        raise ImageError("unsupported DICOM: its photometric interpretation is none of grey, palette, RGB and YBR")
    if layout.photometric in _TRANSFORMED and syntax not in _JPEG_2000:
        raise ImageError(f"damaged DICOM: {layout.photometric} outside JPEG 2000")
    if layout.num_samples != needed:
        raise ImageError(f"damaged DICOM: {layout.photometric} of {layout.num_samples} samples, should be {needed}")
    if layout.bits_allocated not in (8, 16):
        raise ImageError(f"unsupported DICOM: {layout.bits_allocated} bits allocated, should be 8 or 16")
    if not 1 <= layout.bits_stored <= layout.high_bit + 1 <= layout.bits_allocated:
        raise ImageError(f"damaged DICOM: {layout.bits_stored} of {layout.bits_allocated} bits stored")
    if needed == 3 and (layout.bits_stored < 8 or layout.is_signed):
        raise ImageError("unsupported DICOM: colours of less than 8 bits or with a sign")
    if layout.is_subsampled and (layout.width % 2 or layout.bits_allocated != 8):
        raise ImageError("damaged DICOM: shared chroma needs an even width and 8 bits")


def check_frames(layout: PixelLayout) -> None:
    """Raises ImageError when the file holds other frames than its header says."""
    if layout.is_plain:
        find_plain_frame(layout.elements, layout.frame_size, layout.num_frames, 0)
    else:
        find_coded_frames(layout.elements, layout.num_frames)


def decode_frame(layout: PixelLayout, frame: int, reduction: int) -> NDArray[np.uint8]:
    """Pixels (height, width, 3) BGR of a frame, numbered from 0 and below `layout.num_frames`. Raises ImageError.

    `reduction` 1, 2, 4 or 8 divides the size where `layout.can_reduce`; elsewhere the size stays.
    """
    if layout.is_plain:
        return _to_bgr(_read_plain(layout, frame), layout)
    source = join(layout.elements.data, find_coded_frames(layout.elements, layout.num_frames)[frame])
    return _to_bgr(_decode(source, layout, reduction), layout)


def _decode(source: bytes, layout: PixelLayout, reduction: int) -> Samples:
    syntax, size = layout.elements.syntax, (layout.width, layout.height)
    if syntax == _RLE:
        stored = decode_rle(source, size, layout.num_samples, layout.bits_allocated)
        return Samples(_stored_bits(stored, layout), layout.bits_stored, layout.photometric in _YBR)
    if syntax in _JPEG_2000:
        return decode_jpeg_2000(source, size, layout.num_samples, layout.photometric in _YBR)
    return decode_jpeg(source, size, layout.num_samples, layout.photometric in _YBR, reduction)


def _read_plain(layout: PixelLayout, frame: int) -> Samples:
    start, end = find_plain_frame(layout.elements, layout.frame_size, layout.num_frames, frame)
    size = layout.bits_allocated // 8
    stored = np.frombuffer(
        layout.elements.data, f"{layout.elements.order}u{size}", count=(end - start) // size, offset=start
    )
    if size == 1 and layout.elements.order == ">" and layout.elements.pixels_vr == b"OW":
        stored = stored[: len(stored) // 2 * 2].reshape(-1, 2)[:, ::-1].reshape(-1)  # two pixels a big-endian word
    stored = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    is_ybr = layout.photometric in _YBR
    if layout.is_subsampled:
        return Samples(_share_chroma(stored, layout), 8, is_ybr)
    if layout.num_samples == 1:
        stored_HWC = stored.reshape(layout.height, layout.width, 1)
    elif layout.is_planar:
        stored_HWC = stored.reshape(3, layout.height, layout.width).transpose(1, 2, 0)
    else:
        stored_HWC = stored.reshape(layout.height, layout.width, 3)
    return Samples(_stored_bits(stored_HWC, layout), layout.bits_stored, is_ybr)


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
    if layout.photometric == _PALETTE:
        return _apply_palette(samples, layout)
    if layout.num_samples == 1:
        return _shade_grey(samples, layout)
    rgb = _drop_low_bits(samples)
    if samples.is_ybr:
        return cv2.cvtColor(np.ascontiguousarray(rgb[:, :, (0, 2, 1)]), cv2.COLOR_YCrCb2BGR)  # type: ignore[return-value]
    return np.ascontiguousarray(rgb[:, :, ::-1])


def _drop_low_bits(samples: Samples) -> NDArray[np.uint8]:
    values = samples.values_HWC
    if values.dtype == np.uint8:
        return values  # type: ignore[return-value]
    bits = samples.bits if samples.bits < 16 else usual_bits(int(values.max()))
    return np.right_shift(values, max(bits, 8) - 8).astype(np.uint8)  # type: ignore[operator]


def _shade_grey(samples: Samples, layout: PixelLayout) -> NDArray[np.uint8]:
    codes = samples.values_HWC[:, :, 0]
    shades = _shades(samples, layout)
    if layout.photometric == "MONOCHROME1":
        shades = 255 - shades
    return cv2.cvtColor(shades[codes], cv2.COLOR_GRAY2BGR)  # type: ignore[return-value]


def _shades(samples: Samples, layout: PixelLayout) -> NDArray[np.uint8]:
    """(2^bits,): the 8-bit shade of every stored code."""
    num_codes = 2**samples.bits
    values = np.arange(num_codes, dtype=np.float64)
    if layout.is_signed:
        values[num_codes // 2 :] -= num_codes
    window = _read_window(layout.elements) if samples.bits > 8 else None
    if window is not None:
        centre, width, slope, intercept = window
        shown = (values * slope + intercept - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5
        return np.clip(np.rint(255 * shown), 0, 255).astype(np.uint8)
    if layout.is_signed:
        values += num_codes // 2
    bits = usual_bits(int(samples.values_HWC.max())) if samples.bits == 16 and not layout.is_signed else samples.bits
    if bits < 8:
        return np.rint(values * 255 / (num_codes - 1)).astype(np.uint8)
    return np.minimum(values.astype(np.uint32) >> (bits - 8), 255).astype(np.uint8)


def _read_window(elements: Elements) -> tuple[float, float, float, float] | None:
    """(centre, width, slope, intercept); None without a window that shows anything."""
    centre, width = elements.decimal(_WINDOW_CENTRE), elements.decimal(_WINDOW_WIDTH)
    if centre is None or width is None or width < 1:
        return None
    slope, intercept = elements.decimal(_SLOPE), elements.decimal(_INTERCEPT)
    return centre, width, 1.0 if slope is None else slope, intercept or 0.0


def _apply_palette(samples: Samples, layout: PixelLayout) -> NDArray[np.uint8]:
    codes = samples.values_HWC[:, :, 0]
    num_codes = 2**samples.bits
    table = np.stack([_read_palette(layout, channel, num_codes) for channel in (2, 1, 0)], axis=1)
    return table[codes]


def _read_palette(layout: PixelLayout, channel: int, num_codes: int) -> NDArray[np.uint8]:
    """(num_codes,): the 8-bit level of one colour for every stored code (PS3.3 C.7.6.3.1.5 and .6)."""
    elements = layout.elements
    descriptor = elements.numbers(_PALETTE_DESCRIPTORS[channel])
    data = elements.values.get(_PALETTE_DATA[channel], b"")
    if not data and len(descriptor) == 3:
        raise ImageError("unsupported DICOM: a palette in segments or without values")
    if len(descriptor) != 3 or descriptor[2] not in (8, 16):
        raise ImageError("damaged DICOM: no palette beside PALETTE COLOR")
    num_entries, first, bits = descriptor[0] or 65536, descriptor[1], descriptor[2]
    words = np.frombuffer(data[: len(data) // 2 * 2], f"{elements.order}u2").astype("<u2")
    # 8-bit entries come two a word, or, from old writers, one a word
    entries = words if bits == 16 or len(words) >= num_entries else words.view(np.uint8)
    if len(entries) < num_entries:
        raise ImageError(f"damaged DICOM: a palette of {len(entries)} colours, should be {num_entries}")
    entries = entries[:num_entries]
    levels = (entries >> 8 if entries.max() > 255 else entries).astype(np.uint8)
    if layout.is_signed and first >= 2**15:
        first -= 2**16
    codes = np.arange(num_codes)
    if layout.is_signed:
        codes[num_codes // 2 :] -= num_codes
    return levels[np.clip(codes - first, 0, num_entries - 1)]
