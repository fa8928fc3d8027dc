"""Compressed frames of DICOM to samples, through the native decoders, which see only what has been checked first.

The decoders take sizes from the stream and not from the DICOM header: a stream of another size, depth or number of
components than the header says is refused before one of them allocates for it.
"""

import io
import itertools
import logging
import struct
from dataclasses import dataclass

import _openjpeg
import numpy as np
from libjpeg.utils import decode as _decode_libjpeg
from numpy.typing import NDArray
from rle.rle import decode_segment as _decode_rle_segment

from sepl.data.imaging.codecs.jpeg_2000_stream import read_codestream
from sepl.data.imaging.codecs.jpeg_stream import (
    SOF_BASELINE,
    SOF_EXTENDED,
    SOF_JPEG_LS,
    SOF_LOSSLESS,
    SOF_PROGRESSIVE,
    JpegStream,
    read_jpeg_stream,
    with_colours,
)
from sepl.data.imaging.codecs.opencv import MAX_PIXELS_PER_BYTE, REDUCED_COLOUR, REDUCED_GREY, unpack
from sepl.errors import ImageError

_MAX_CODED_PIXELS = 64_000_000
"""These codes are decoded whole, at four bytes a sample; the largest fundus cameras have 50 million pixels."""
_CHEAP_PIXELS = 4_000_000
"""Some codes hold a black picture in next to nothing, so what costs little is decoded whatever its stream's length."""
_LOSSY = (SOF_BASELINE, SOF_EXTENDED, SOF_PROGRESSIVE)

_APP8 = 0xFFE8

Size = tuple[int, int]
"""(width, height) in pixels."""


@dataclass(frozen=True, eq=False)
class Samples:
    """A decoded frame before its colours are converted."""

    values_HWC: NDArray[np.unsignedinteger]
    bits: int
    """That a value may take."""
    is_ybr: bool = False
    """Whether three channels are Y, Cb, Cr rather than R, G, B."""
    is_bgr: bool = False
    """Whether the decoder gave 8-bit B, G, R already."""


def decode_rle(source: bytes, size: Size, num_samples: int, bits_allocated: int) -> NDArray[np.unsignedinteger]:
    """(height, width, channels) as stored. Raises ImageError."""
    width, height = size
    num_bytes = width * height * num_samples * bits_allocated // 8
    if num_bytes > 64 * len(source):  # two bytes make at most 128
        raise ImageError("damaged RLE", f"{len(source)} bytes cannot hold {width}×{height} pixels")
    # segment by segment: the library's decoder of whole frames panics when two segments differ in length
    segments = [
        _decode_segment(source[start:end], width * height)
        for start, end in _rle_segments(source, num_bytes // (width * height))
    ]
    stacked = np.stack(segments, axis=-1)  # of a deep sample, the high byte comes first
    values = stacked if bits_allocated == 8 else stacked.view(">u2").astype(np.uint16)
    return values.reshape(height, width, num_samples)


def _rle_segments(source: bytes, num_segments: int) -> list[tuple[int, int]]:
    """(start, end) of each, from the header of a frame (PS3.5 annex G)."""
    if len(source) < 64:
        raise ImageError("damaged RLE", "shorter than its own header")
    count, *offsets = struct.unpack_from(f"<I{num_segments}I", source)
    offsets.append(len(source))
    if count != num_segments or offsets[0] < 64 or offsets != sorted(set(offsets)):
        raise ImageError("damaged RLE", "another number of segments than the header asks for, or out of order")
    return list(itertools.pairwise(offsets))


def _decode_segment(source: bytes, num_bytes: int) -> NDArray[np.uint8]:
    try:
        decoded = _decode_rle_segment(source)
    except ValueError as problem:
        raise ImageError("damaged RLE") from problem
    if not num_bytes <= len(decoded) <= num_bytes + 1:  # some writers code the byte that makes a length even
        raise ImageError("damaged RLE", f"a segment of {len(decoded)} bytes, should be {num_bytes}")
    return np.frombuffer(decoded, np.uint8, count=num_bytes)


def decode_jpeg(source: bytes, size: Size, num_samples: int, is_ybr: bool, reduction: int = 1) -> Samples:
    """A frame of JPEG (baseline, extended, lossless) or JPEG-LS. Raises ImageError.

    `is_ybr` is the photometric interpretation's word, used where the stream has none. Streams that are not lossless
    note their colours (see `JpegStream.is_ybr`); lossless ones hold samples as they were given.
    """
    stream = read_jpeg_stream(source)
    _check_same("JPEG", size, num_samples, (stream.width, stream.height), stream.num_components)
    _check_length("JPEG", size, len(source))
    if stream.frame_marker in _LOSSY:
        is_ybr = stream.is_ybr(otherwise=is_ybr)
        source = with_colours(source, stream, is_ybr)
        if stream.precision == 8:
            return _decode_8_bit_jpeg(source, num_samples, reduction)
    else:
        if _has_own_transform(source, stream):
            raise ImageError("unsupported JPEG-LS", "a colour transform that DICOM does not know")
        source = with_colours(source, stream, False)
    _check_deep_jpeg(source, stream, size)
    return _decode_deep_jpeg(source, stream, size, is_ybr)


def _has_own_transform(source: bytes, stream: JpegStream) -> bool:
    """Whether Hewlett-Packard's marker, which some JPEG-LS encoders write, names another colour transform than none."""
    return any(
        marker == _APP8 and source[start + 4 : start + 8] == b"mrfx" and source[start + 8] != 0
        for marker, start, _ in stream.segments
    )


def _check_deep_jpeg(source: bytes, stream: JpegStream, size: Size) -> None:
    _check_size("JPEG", size)
    is_lossless = stream.frame_marker in (SOF_LOSSLESS, SOF_JPEG_LS)
    if not (is_lossless and set(stream.sampling) == {0x11}) and stream.frame_marker != SOF_EXTENDED:
        raise ImageError("unsupported JPEG", "should be baseline, extended, lossless or JPEG-LS")
    if not 2 <= stream.precision <= 16:
        raise ImageError("damaged JPEG", f"{stream.precision} bits, should be 2 to 16")
    if stream.num_scans > stream.num_components:
        raise ImageError("unsupported JPEG", f"{stream.num_scans} scans of {stream.num_components} components")
    if stream.frame_marker == SOF_LOSSLESS and size[0] * size[1] * stream.num_components > 8 * len(source):
        raise ImageError("damaged JPEG", f"{len(source)} bytes hold less than a bit for each sample")


def _decode_8_bit_jpeg(source: bytes, num_samples: int, reduction: int) -> Samples:
    flags = REDUCED_COLOUR[reduction] if num_samples == 3 else REDUCED_GREY[reduction]
    pixels = unpack(source, flags, "JPEG")
    return Samples(pixels, 8, is_bgr=True) if num_samples == 3 else Samples(pixels[:, :, None], 8)


def _decode_deep_jpeg(source: bytes, stream: JpegStream, size: Size, is_ybr: bool) -> Samples:
    """What OpenCV's decoder does not take, through libjpeg, which is told to leave the colours as they are."""
    try:
        decoded = _decode_libjpeg(source, colour_transform=0, reshape=False)
    except (RuntimeError, ValueError) as problem:
        raise ImageError("damaged JPEG") from problem
    values = decoded.view("<u2" if stream.precision > 8 else np.uint8)
    return Samples(values.reshape(size[1], size[0], stream.num_components), stream.precision, is_ybr)


def decode_jpeg_2000(source: bytes, size: Size, num_samples: int, is_ybr: bool) -> Samples:
    """A frame of JPEG 2000, as a bare codestream or in its own file format. Raises ImageError.

    `is_ybr` counts only when the codestream notes no component transform; the decoder undoes one that it notes.
    """
    start = source.find(b"\xff\x4f\xff\x51", 0, 4096)
    if start < 0 or source.rfind(b"\xff\xd9", start) < 0:
        raise ImageError("damaged or truncated JPEG 2000")
    source = source[start:]
    stream = read_codestream(source)
    _check_same("JPEG 2000", size, num_samples, (stream.width, stream.height), stream.num_components)
    _check_size("JPEG 2000", size)
    _check_length("JPEG 2000", size, len(source))
    logging.getLogger("openjpeg").setLevel(logging.CRITICAL)  # a damaged file is told in one reason, not in its lines
    try:
        code, decoded = _openjpeg.decode(io.BytesIO(source), 0, as_array=True)
    except (RuntimeError, ValueError) as problem:
        raise ImageError("damaged JPEG 2000") from problem
    if code != 0:
        raise ImageError("damaged JPEG 2000")
    values = decoded.view("<u2" if stream.precision > 8 else np.uint8).reshape(size[1], size[0], num_samples)
    return Samples(values, stream.precision, is_ybr and not stream.has_transform)


def _check_same(kind: str, size: Size, num_samples: int, found: Size, num_found: int) -> None:
    if found != size or num_found != num_samples:
        raise ImageError(
            "damaged DICOM",
            f"header says {size[0]}×{size[1]} pixels of {num_samples} samples, "
            f"{kind} says {found[0]}×{found[1]} of {num_found}",
        )


def _check_size(kind: str, size: Size) -> None:
    width, height = size
    if width * height > _MAX_CODED_PIXELS:
        most = _MAX_CODED_PIXELS // 10**6
        raise ImageError("too large", f"{width}×{height} pixels of {kind}, most is {most} megapixels")


def _check_length(kind: str, size: Size, num_bytes: int) -> None:
    width, height = size
    if width * height > max(_CHEAP_PIXELS, MAX_PIXELS_PER_BYTE * num_bytes):
        raise ImageError(f"damaged {kind}", f"{num_bytes} bytes cannot hold {width}×{height} pixels")
