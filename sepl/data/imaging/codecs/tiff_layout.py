"""What the header of a TIFF declares about its pixels, read without decoding them.

The tags are those of TIFF 6.0. A layout that no decoder of ours fills, or fills in another order, is refused here with
its name; `sepl.data.imaging.codecs.tiff_pixels` decodes the others.
"""

import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sepl.errors import ImageError

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, ORIENTATION, CHANNELS, STRIP_ROWS, STRIP_COUNTS, PLANES, PREDICTOR = 273, 274, 277, 278, 279, 284, 317
PALETTE, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, EXTRA, FORMAT = 320, 322, 323, 324, 325, 338, 339
JPEG_TABLES, YBR_WEIGHTS, YBR_SAMPLING, YBR_POSITION, YBR_RANGE = 347, 529, 530, 531, 532

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, INDEXED, YBR = 0, 1, 2, 3, 6
PLAIN, LZW, JPEG, DEFLATE, OLD_DEFLATE, PACK_BITS = 1, 5, 7, 8, 32946, 32773
WITH_PREDICTOR = (LZW, DEFLATE, OLD_DEFLATE)

_COMPRESSIONS = (PLAIN, LZW, JPEG, DEFLATE, OLD_DEFLATE, PACK_BITS)
_OTHER_COMPRESSIONS = {
    2: "CCITT",
    3: "CCITT fax 3",
    4: "CCITT fax 4",
    6: "JPEG of TIFF before 1995",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34712: "JPEG 2000",
    34887: "LERC",
    34925: "LZMA",
    50000: "Zstandard",
    50001: "WebP",
    34892: "lossy JPEG",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_NUM_CHANNELS = {WHITE_IS_ZERO: (1,), BLACK_IS_ZERO: (1,), RGB: (3, 4), INDEXED: (1,), YBR: (3,)}
_OTHER_COLOURS = {4: "a mask", 5: "CMYK", 8: "CIELab", 9: "ICCLab", 10: "ITULab", 32844: "LogL", 32845: "LogLuv"}

_LARGEST_TILE = 1024**2
"""Pixels of a tile that a small picture may have; the decoder sets aside whole tiles."""
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of a value of each type."""
_NUMBERS = {1: "u1", 3: "u2", 4: "u4"}


@dataclass(frozen=True)
class TiffDirectory:
    """The first list of tags of a file, which stands for its first page."""

    source: bytes = field(repr=False)
    order: str
    """"<" or ">", as in the names of NumPy's types."""
    entries: dict[int, tuple[int, int, int]]
    """Tag to type, number of values and where the first of them starts."""

    def numbers(self, tag: int) -> NDArray[np.unsignedinteger]:
        """All values of a tag that counts something; none when it is absent. Raises ImageError when they are cut."""
        kind, _, _ = self.entries.get(tag, (1, 0, 0))
        return np.frombuffer(self.data(tag), self.order + _number_type(tag, kind))

    def number(self, tag: int, default: int | None = None) -> int:
        """The first value. Raises KeyError when there is none and no default."""
        if tag not in self.entries or self.entries[tag][1] == 0:
            if default is None:
                raise KeyError(tag)
            return default
        kind, _, start = self.entries[tag]
        return int(np.frombuffer(self._cut(start, _SIZES[kind]), self.order + _number_type(tag, kind))[0])

    def data(self, tag: int) -> bytes:
        """The bytes of all values, as they are written."""
        kind, count, start = self.entries.get(tag, (1, 0, 0))
        return self._cut(start, count * _SIZES[kind])

    def _cut(self, start: int, length: int) -> bytes:
        if start + length > len(self.source):
            raise ImageError("damaged or truncated header")
        return self.source[start : start + length]


def _number_type(tag: int, kind: int) -> str:
    if kind not in _NUMBERS:
        raise ImageError("damaged TIFF", f"tag {tag} of type {kind}, should be a whole number")
    return _NUMBERS[kind]


def read_directory(source: bytes) -> TiffDirectory:
    """The first directory. Raises ImageError, or struct.error when the file is too short to hold it."""
    order = "<" if source[:2] == b"II" else ">"
    (first,) = struct.unpack_from(order + "I", source, 4)
    (num_entries,) = struct.unpack_from(order + "H", source, first)
    entries: dict[int, tuple[int, int, int]] = {}
    for place in range(first + 2, first + 2 + 12 * num_entries, 12):
        tag, kind, count, start = struct.unpack_from(order + "HHII", source, place)
        if tag in entries:
            raise ImageError("damaged TIFF", "a tag stands twice")
        if kind in _SIZES:
            entries[tag] = (kind, count, start if _SIZES[kind] * count > 4 else place + 8)
    return TiffDirectory(source, order, entries)


@dataclass(frozen=True)
class TiffLayout:
    """How the pixels of the first page are stored. Sizes in pixels."""

    directory: TiffDirectory = field(repr=False)
    width: int
    height: int
    bits: int
    num_channels: int
    photometric: int
    compression: int
    is_planar: bool
    """Whether each channel is stored apart."""
    is_tiled: bool
    chunk_width: int
    chunk_height: int
    """Of a tile or strip."""
    orientation: int
    """1 to 8 as EXIF has them."""

    @property
    def has_transparency(self) -> bool:
        """Whether a fourth channel says how opaque colours are that it has not been multiplied into yet.

        A fourth channel without a word about it counts as such, as writers of RGBA leave the word out.
        """
        return self.num_channels == 4 and self.directory.number(EXTRA, 2) not in (0, 1)

    @property
    def num_chunks(self) -> int:
        """Of each plane."""
        return -(-self.width // self.chunk_width) * -(-self.height // self.chunk_height)

    @property
    def num_planes(self) -> int:
        return self.num_channels if self.is_planar else 1

    @property
    def channels_of_plane(self) -> int:
        return 1 if self.is_planar else self.num_channels

    def offsets(self) -> NDArray[np.unsignedinteger]:
        """(num_planes, num_chunks): where each tile or strip starts."""
        return self._of_chunks(TILE_OFFSETS if self.is_tiled else STRIP_OFFSETS)

    def counts(self) -> NDArray[np.unsignedinteger]:
        """(num_planes, num_chunks): how many bytes each has."""
        return self._of_chunks(TILE_COUNTS if self.is_tiled else STRIP_COUNTS)

    def _of_chunks(self, tag: int) -> NDArray[np.unsignedinteger]:
        numbers, expected = self.directory.numbers(tag), self.num_planes * self.num_chunks
        if len(numbers) < expected:
            kind = "tiles" if self.is_tiled else "strips"
            raise ImageError("damaged TIFF", f"{len(numbers)} {kind}, should be {expected}")
        return numbers[:expected].reshape(self.num_planes, self.num_chunks)


def read_tiff_layout(source: bytes) -> TiffLayout:
    """The layout of a TIFF. Raises ImageError when it is one that is not decoded."""
    directory = read_directory(source)
    width, height = directory.number(WIDTH), directory.number(HEIGHT)
    is_tiled = TILE_WIDTH in directory.entries
    rows = directory.number(STRIP_ROWS, height)
    orientation = directory.number(ORIENTATION, 1)
    layout = TiffLayout(
        directory,
        width,
        height,
        bits=directory.number(BITS, 1),
        num_channels=directory.number(CHANNELS, 1),
        photometric=directory.number(PHOTOMETRIC),
        compression=directory.number(COMPRESSION, PLAIN),
        is_planar=directory.number(PLANES, 1) == 2 and directory.number(CHANNELS, 1) > 1,
        is_tiled=is_tiled,
        chunk_width=directory.number(TILE_WIDTH) if is_tiled else width,
        chunk_height=directory.number(TILE_HEIGHT) if is_tiled else min(rows, height),
        orientation=orientation if 1 <= orientation <= 8 else 1,
    )
    _check_samples(layout)
    _check_compression(layout)
    _check_chunk_size(layout)
    return layout


def _check_samples(layout: TiffLayout) -> None:
    photometric, bits, num_channels = layout.photometric, layout.bits, layout.num_channels
    if photometric not in _NUM_CHANNELS:
        raise ImageError(
            "unsupported TIFF",
            f"{_OTHER_COLOURS.get(photometric, f'colours of kind {photometric}')}, should be grey, RGB or a palette",
        )
    formats = {*layout.directory.numbers(FORMAT)[:num_channels].tolist()}
    if bits not in (8, 16) or num_channels not in _NUM_CHANNELS[photometric] or formats - {1}:
        kind = "" if formats <= {1} else " with a sign or a floating point"
        raise ImageError(
            "unsupported TIFF", f"{num_channels} channels of {bits} bits{kind}, should be grey or RGB of 8 or 16"
        )
    if len({*layout.directory.numbers(BITS)[:num_channels].tolist()}) > 1:
        raise ImageError("unsupported TIFF", "channels of different bits")
    if bits == 16 and photometric in (INDEXED, YBR):
        raise ImageError("unsupported TIFF", "a palette or YCbCr of 16 bits, should be of 8")
    if layout.directory.number(FILL_ORDER, 1) != 1:
        raise ImageError("unsupported TIFF", "bytes whose lowest bit comes first")


def _check_compression(layout: TiffLayout) -> None:
    compression = layout.compression
    if compression not in _COMPRESSIONS:
        name = _OTHER_COMPRESSIONS.get(compression, "unknown")
        raise ImageError(
            "unsupported TIFF", f"compression {compression} ({name}), should be none, LZW, deflate, PackBits or JPEG"
        )
    if compression == JPEG and (layout.bits != 8 or layout.num_channels == 4 or layout.photometric == INDEXED):
        raise ImageError("unsupported TIFF", "JPEG of other than grey, RGB or YCbCr of 8 bits")
    if layout.photometric == YBR and (compression != JPEG or layout.is_planar):
        raise ImageError("unsupported TIFF", "YCbCr in planes or not as JPEG")
    predictor = layout.directory.number(PREDICTOR, 1)
    if compression in WITH_PREDICTOR and predictor not in (1, 2):
        raise ImageError("unsupported TIFF", f"predictor {predictor}, should be 1 or 2")


def _check_chunk_size(layout: TiffLayout) -> None:
    if layout.width and layout.height and not (layout.chunk_width and layout.chunk_height):
        raise ImageError("damaged TIFF", "tiles or strips without pixels")
    if layout.is_tiled and layout.chunk_width * layout.chunk_height > max(layout.width * layout.height, _LARGEST_TILE):
        raise ImageError("damaged TIFF", "tiles larger than the picture")


def check_chunks(layout: TiffLayout) -> None:
    """Raises ImageError when a tile or strip is missing, lies past the end of the file or is too short.

    A decoder would leave its pixels black or as its memory happens to be.
    """
    offsets, counts = layout.offsets().astype(np.uint64), layout.counts().astype(np.uint64)
    if (offsets == 0).any() or (counts == 0).any():
        raise ImageError("damaged TIFF", "a tile or strip is missing")
    if (offsets + counts).max() > len(layout.directory.source):
        raise ImageError("truncated TIFF")
    if layout.compression == PLAIN and (counts < _plain_counts(layout)).any():
        raise ImageError("damaged TIFF", "a tile or strip is shorter than its pixels")


def _plain_counts(layout: TiffLayout) -> NDArray[np.uint64]:
    """(num_chunks,): bytes of each when they are not compressed; the last strip may be lower than the others."""
    row = layout.chunk_width * layout.bits // 8 * layout.channels_of_plane
    counts = np.full(layout.num_chunks, row * layout.chunk_height, np.uint64)
    if not layout.is_tiled:
        counts[-1] = row * (layout.height - (layout.num_chunks - 1) * layout.chunk_height)
    return counts
