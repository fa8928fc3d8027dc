"""What the chunks of a PNG declare, read without decoding them, and its pixels as a viewer shows them."""

import struct
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from sepl.data.imaging.codecs.display import show
from sepl.data.imaging.codecs.opencv import unpack
from sepl.data.imaging.codecs.tiff_layout import ORIENTATION, read_directory
from sepl.errors import ImageError

_GREY, _GREY_OPACITY, _COLOUR_OPACITY = 0, 4, 6


@dataclass(frozen=True)
class PngLayout:
    """The header of a PNG. Sizes in pixels."""

    source: bytes = field(repr=False)
    width: int
    height: int
    bits: int
    """Of a channel, or of a palette's index."""
    has_alpha: bool
    hidden_grey: int | None
    """The one level of a grey picture that is transparent, in its own bits."""
    orientation: int
    """1 to 8 as EXIF has them."""


def read_png_layout(source: bytes) -> PngLayout:
    """The layout of a PNG. Raises ImageError, or struct.error when the file is too short."""
    chunks = _read_chunks(source)
    if chunks[0][0] != b"IHDR" or [name for name, _, _ in chunks].count(b"IHDR") > 1:
        raise ImageError("damaged or truncated header")
    places = {name: (start, end) for name, start, end in reversed(chunks)}
    if b"acTL" in places:
        raise ImageError("unsupported PNG", "moving pictures")
    width, height, bits, colour = struct.unpack_from(">IIBB", source, 16)
    is_keyed = colour == _GREY and b"tRNS" in places
    return PngLayout(
        source,
        width,
        height,
        bits,
        has_alpha=colour in (_GREY_OPACITY, _COLOUR_OPACITY) or b"tRNS" in places,
        hidden_grey=struct.unpack_from(">H", source, places[b"tRNS"][0])[0] if is_keyed else None,
        orientation=_read_orientation(source[slice(*places[b"eXIf"])]) if b"eXIf" in places else 1,
    )


def _read_chunks(source: bytes) -> list[tuple[bytes, int, int]]:
    """(name, start and end of what it holds) up to the last.

    OpenCV would set aside the memory of a chunk as long as it claims to be.
    """
    position, chunks = 8, []
    while True:
        length, name = struct.unpack_from(">I4s", source, position)
        chunks.append((name, position + 8, position + 8 + length))
        position += length + 12  # length, name and checksum
        if position > len(source):
            raise ImageError("truncated PNG")
        if name == b"IEND":
            return chunks


def _read_orientation(exif: bytes) -> int:
    """1 when the note cannot be read: a picture is not lost for it."""
    try:
        orientation = read_directory(exif.removeprefix(b"Exif\0\0")).number(ORIENTATION, 1)
    except (ImageError, struct.error):
        return 1
    return orientation if 1 <= orientation <= 8 else 1


def decode_png(layout: PngLayout) -> NDArray[np.uint8]:
    """Pixels (height, width, 3) BGR, upright, contiguous, on black. Raises ImageError."""
    # OpenCV turns a picture that is asked for in colour, and none that is asked for with its opacity
    opaque = cv2.IMREAD_COLOR_BGR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    flags = cv2.IMREAD_UNCHANGED if layout.has_alpha else opaque
    samples = unpack(layout.source, flags, "PNG")
    if samples.shape[:2] != (layout.height, layout.width):
        raise ImageError("damaged PNG")
    if layout.hidden_grey is not None:
        samples[samples == _as_decoded(layout.hidden_grey, layout.bits)] = 0
    return show(samples, layout.orientation)


def _as_decoded(grey: int, bits: int) -> int:
    """Levels of fewer bits are spread over 8."""
    return grey if bits >= 8 else (grey & (2**bits - 1)) * 255 // (2**bits - 1)
