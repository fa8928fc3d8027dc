"""Bytes of a JPEG, PNG, TIFF or DICOM file to 8-bit pixels, with a reason when that cannot be.

Size and format are read from the header before anything is decoded: a picture too large is refused while it still costs
nothing, and a large JPEG is decoded at a half, a quarter or an eighth of its size in the frequency domain, which takes
a quarter of the time.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sepl.data.imaging.codecs.jpeg_stream import read_jpeg_stream
from sepl.data.imaging.codecs.opencv import MAX_PIXELS_PER_BYTE, REDUCED_COLOUR, unpack
from sepl.data.imaging.codecs.png_pixels import PngLayout, decode_png, read_png_layout
from sepl.data.imaging.codecs.tiff_layout import TiffLayout, check_chunks, read_tiff_layout
from sepl.data.imaging.codecs.tiff_pixels import decode_tiff
from sepl.data.imaging.dicom.facts import is_dicom
from sepl.data.imaging.dicom.layout import PixelLayout, check_frames, read_layout
from sepl.data.imaging.dicom.pixels import decode_frame
from sepl.errors import ImageError

MAX_PIXELS = 200_000_000
"""Largest picture decoded, of 8-bit colours; 0.6 GB of memory. The largest fundus cameras write 50 megapixels."""
MAX_ASPECT = 8
"""Longer side to shorter. Photographs are padded to a square, which a thin strip would make huge."""


@dataclass(frozen=True)
class Header:
    """What the first bytes of a file say, before anything is decoded. Sizes in pixels."""

    kind: str
    width: int
    height: int
    is_wide: bool = False
    """More than 8 bits a channel."""
    has_alpha: bool = False
    num_frames: int = 1
    can_reduce: bool = False
    """Whether it can be decoded at a half, a quarter or an eighth of its size."""
    layout: PixelLayout | None = field(default=None, repr=False)
    """Of a DICOM file's pixels, as the others of theirs; holds the file's bytes."""
    tiff_layout: TiffLayout | None = field(default=None, repr=False)
    png_layout: PngLayout | None = field(default=None, repr=False)


def read_header(source: bytes) -> Header:
    """Format and size of a picture. Raises ImageError when it is not a whole file of a kind and size that we decode."""
    if not source:
        raise ImageError("empty file")
    try:
        header = _parser_of(source)(source)
    except (struct.error, IndexError, KeyError) as problem:
        raise ImageError("damaged or truncated header") from problem
    if header.width < 1 or header.height < 1:
        raise ImageError("no pixels", f"header says {header.width}×{header.height}")
    most = _most_pixels(header)
    if header.width * header.height > most:
        raise ImageError("too large", f"{header.width}×{header.height} pixels, most is {most // 10**6} megapixels")
    if max(header.width, header.height) > MAX_ASPECT * min(header.width, header.height):
        raise ImageError(
            "not a photograph", f"{header.width}×{header.height} pixels, sides should be within 1 to {MAX_ASPECT}"
        )
    if header.layout is not None:
        check_frames(header.layout)
    elif header.width * header.height > MAX_PIXELS_PER_BYTE * len(source):
        raise ImageError(
            f"damaged {header.kind}", f"{len(source)} bytes cannot hold {header.width}×{header.height} pixels"
        )
    if header.tiff_layout is not None:
        check_chunks(header.tiff_layout)
    return header


def _most_pixels(header: Header) -> int:
    """Fewer where a pixel takes more memory on the way: 16 bits, transparency, a DICOM file that is as long as it."""
    return MAX_PIXELS // 2 if header.layout is not None else MAX_PIXELS >> header.is_wide + header.has_alpha


def decode(source: bytes, header: Header, reduction: int = 1, frame: int = 0) -> NDArray[np.uint8]:
    """Pixels (height, width, 3) BGR, contiguous, of a frame numbered from 0. Raises ImageError.

    `reduction` 1, 2, 4 or 8 divides the size where `header.can_reduce`. The orientation that the file notes (EXIF) is
    applied, so that the pixels stand as any viewer shows them. Grey becomes three equal channels; what is transparent
    becomes black. Colours and depths of DICOM: see `sepl.data.imaging.dicom.pixels`.
    """
    if not 0 <= frame < header.num_frames:
        raise ImageError("no pixels", f"frame {frame} of a file of {header.num_frames}")
    if header.layout is not None:
        return decode_frame(header.layout, frame, reduction)
    if header.tiff_layout is not None:
        return decode_tiff(header.tiff_layout)
    if header.png_layout is not None:
        return decode_png(header.png_layout)
    return unpack(source, REDUCED_COLOUR[reduction], "JPEG")  # type: ignore[return-value]  # 8 bits, as its header says


def _parser_of(source: bytes) -> Callable[[bytes], Header]:
    for magic, parser in _PARSERS.items():
        if source.startswith(magic):
            return parser
    if is_dicom(source):
        return _dicom_header
    raise ImageError(_what_it_is(source), "should be JPEG, PNG, TIFF or DICOM")


def _what_it_is(source: bytes) -> str:
    for start, magic, name in _OTHER_FORMATS:
        if source.startswith(magic, start):
            return f"unsupported {name}"
    return "not an image"


def _jpeg_header(source: bytes) -> Header:
    stream = read_jpeg_stream(source)
    if stream.precision != 8 or stream.num_components not in (1, 3):
        raise ImageError(
            "unsupported JPEG", f"{stream.num_components} channels of {stream.precision} bits, should be 1 or 3 of 8"
        )
    return Header("JPEG", stream.width, stream.height, can_reduce=True)


def _dicom_header(source: bytes) -> Header:
    layout = read_layout(source)
    return Header(
        "DICOM",
        layout.width,
        layout.height,
        is_wide=layout.bits_stored > 8,
        num_frames=layout.num_frames,
        can_reduce=layout.can_reduce,
        layout=layout,
    )


def _png_header(source: bytes) -> Header:
    layout = read_png_layout(source)
    return Header(
        "PNG", layout.width, layout.height, is_wide=layout.bits == 16, has_alpha=layout.has_alpha, png_layout=layout
    )


def _tiff_header(source: bytes) -> Header:
    layout = read_tiff_layout(source)
    has_alpha = layout.num_channels == 4
    return Header(
        "TIFF", layout.width, layout.height, is_wide=layout.bits == 16, has_alpha=has_alpha, tiff_layout=layout
    )


_PARSERS = {
    b"\xff\xd8\xff": _jpeg_header,
    b"\x89PNG\r\n\x1a\n": _png_header,
    b"II*\x00": _tiff_header,
    b"MM\x00*": _tiff_header,
}

_OTHER_FORMATS = (
    (0, b"II+\x00", "BigTIFF"),
    (0, b"MM\x00+", "BigTIFF"),
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
    (0, b"GIF8", "GIF"),
    (8, b"WEBP", "WebP"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"ftypavif", "AVIF"),
)
"""(where, bytes, name) of pictures that people have and that are not decoded."""
