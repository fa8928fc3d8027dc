"""Pixels of a TIFF, whatever its layout, through a decoder that is given the same few layouts only.

OpenCV leaves the memory of separate 16-bit planes unfilled, puts turned tiles in the wrong places, takes 0 for black
where it is white, multiplies opacity in before it hands it over and refuses small plain tiles. So it only unpacks what
is compressed, and never sees the file's own header: each plane is given to it under a new one, upright, 0 black, and
its opacity an ordinary channel. The rest is done here.
"""

import math
import struct
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from sepl.data.imaging.codecs import tiff_layout as tags
from sepl.data.imaging.codecs.display import show
from sepl.data.imaging.codecs.opencv import unpack
from sepl.data.imaging.codecs.tiff_layout import TiffLayout
from sepl.errors import ImageError

_SHORT, _LONG = 3, 4
_KEPT = (tags.JPEG_TABLES, tags.YBR_WEIGHTS, tags.YBR_SAMPLING, tags.YBR_POSITION, tags.YBR_RANGE)
"""Tags that say how colours are coded; the new header has them as the old one."""
_ALREADY_MULTIPLIED = 1
"""The word about a fourth channel with which the decoder hands over colours as they are stored."""


def decode_tiff(layout: TiffLayout) -> NDArray[np.uint8]:
    """Pixels (height, width, 3) BGR, upright, contiguous, on black. Raises ImageError."""
    if layout.compression == tags.PLAIN:
        samples = _read_plain(layout)
    elif layout.is_planar:
        samples = _merge([_decode(layout, plane) for plane in range(layout.num_planes)])
    else:
        samples = _decode(layout, 0)
    if layout.photometric == tags.WHITE_IS_ZERO:
        samples = np.invert(samples)
    if layout.photometric == tags.INDEXED:
        samples = _palette(layout)[samples]
    if layout.num_channels == 4 and not layout.has_transparency:
        samples = np.ascontiguousarray(samples[:, :, :3])
    return show(samples, layout.orientation)


def _read_plain(layout: TiffLayout) -> NDArray[np.unsignedinteger]:
    """Samples (height, width) or (height, width, channels) BGR or BGRA that are stored as they are."""
    depth = np.dtype(f"{layout.directory.order}u{layout.bits // 8}")
    stored = np.empty(
        (layout.num_planes, layout.height, layout.width, layout.channels_of_plane), depth.newbyteorder("=")
    )
    lefts = range(0, layout.width, layout.chunk_width)
    places = [(top, left) for top in range(0, layout.height, layout.chunk_height) for left in lefts]
    for plane_HWC, offsets in zip(stored, layout.offsets().tolist(), strict=True):
        for (top, left), offset in zip(places, offsets, strict=True):
            part = plane_HWC[top : top + layout.chunk_height, left : left + layout.chunk_width]
            rows = layout.chunk_height if layout.is_tiled else len(part)
            shape = (rows, layout.chunk_width, layout.channels_of_plane)
            chunk = np.frombuffer(layout.directory.source, depth, math.prod(shape), offset).reshape(shape)
            part[:] = chunk[: part.shape[0], : part.shape[1]]
    if layout.is_planar:
        return _merge([plane_HWC[:, :, 0] for plane_HWC in stored])
    if layout.num_channels == 1:
        return stored[0, :, :, 0]
    swap = cv2.COLOR_RGB2BGR if layout.num_channels == 3 else cv2.COLOR_RGBA2BGRA
    return cv2.cvtColor(stored[0], swap)  # type: ignore[return-value]  # OpenCV's stubs leave the depth open


def _merge(planes: Sequence[NDArray[np.unsignedinteger]]) -> NDArray[np.unsignedinteger]:
    """(height, width, channels) BGR or BGRA of red, green, blue and perhaps opacity; NumPy takes five times as long."""
    return cv2.merge([*planes[2::-1], *planes[3:]])  # type: ignore[return-value]


def _palette(layout: TiffLayout) -> NDArray[np.uint8]:
    """(256, 3) BGR."""
    levels = layout.directory.numbers(tags.PALETTE)
    if len(levels) != 3 * 256:
        raise ImageError("damaged TIFF", f"a palette of {len(levels)} levels, should be 3 of 256 colours")
    # 16 bits each; some writers give 8
    return (levels >> 8 if levels.max() > 255 else levels).astype(np.uint8).reshape(3, 256)[::-1].T


def _decode(layout: TiffLayout, plane: int) -> NDArray[np.unsignedinteger]:
    """Samples (height, width) or (height, width, channels) BGR or BGRA of a plane that is compressed."""
    samples = unpack(_plain_file(layout, plane), cv2.IMREAD_UNCHANGED, "TIFF")
    num_channels = layout.channels_of_plane
    expected = (layout.height, layout.width) if num_channels == 1 else (layout.height, layout.width, num_channels)
    if samples.shape != expected or samples.itemsize * 8 != layout.bits:
        raise ImageError("damaged TIFF")
    return samples


def _plain_file(layout: TiffLayout, plane: int) -> bytes:
    """The file with another header, which declares one plane upright and black where it is 0."""
    num_channels = layout.channels_of_plane
    values: dict[int, list[int]] = {
        tags.BITS: [layout.bits] * num_channels,
        tags.COMPRESSION: [layout.compression],
        tags.PHOTOMETRIC: [tags.BLACK_IS_ZERO if num_channels == 1 else layout.photometric],
        tags.CHANNELS: [num_channels],
        tags.PLANES: [1],
    }
    if layout.compression in tags.WITH_PREDICTOR:
        values[tags.PREDICTOR] = [layout.directory.number(tags.PREDICTOR, 1)]
    if num_channels == 4:
        values[tags.EXTRA] = [_ALREADY_MULTIPLIED]
    order = layout.directory.order
    entries = {tag: (_SHORT, len(some), struct.pack(f"{order}{len(some)}H", *some)) for tag, some in values.items()}
    entries |= _size_and_chunks(layout, plane)
    for tag in _KEPT:
        if tag in layout.directory.entries:
            kind, count, _ = layout.directory.entries[tag]
            entries[tag] = (kind, count, layout.directory.data(tag))
    return _with_directory(layout.directory.source, order, entries)


def _size_and_chunks(layout: TiffLayout, plane: int) -> dict[int, tuple[int, int, bytes]]:
    offsets, counts = layout.offsets()[plane], layout.counts()[plane]
    if layout.is_tiled:
        sizes = {tags.TILE_WIDTH: layout.chunk_width, tags.TILE_HEIGHT: layout.chunk_height}
        places = {tags.TILE_OFFSETS: offsets, tags.TILE_COUNTS: counts}
    else:
        sizes = {tags.STRIP_ROWS: layout.chunk_height}
        places = {tags.STRIP_OFFSETS: offsets, tags.STRIP_COUNTS: counts}
    sizes |= {tags.WIDTH: layout.width, tags.HEIGHT: layout.height}
    longs = {tag: np.array([size]) for tag, size in sizes.items()} | places
    word = layout.directory.order + "u4"
    return {tag: (_LONG, len(numbers), numbers.astype(word).tobytes()) for tag, numbers in longs.items()}


def _with_directory(source: bytes, order: str, entries: dict[int, tuple[int, int, bytes]]) -> bytes:
    """The file with these tags (type, number of values, bytes) as its only directory, behind all that it holds."""
    parts = [source[:4], b"", source[8:], bytes(len(source) % 2)]
    end = sum(map(len, parts)) + 4
    listed = [struct.pack(order + "H", len(entries))]
    behind = end + 2 + 12 * len(entries) + 4
    values = b""
    for tag, (kind, count, data) in sorted(entries.items()):
        if len(data) > 4:
            place = struct.pack(order + "I", behind + len(values))
            values += data + bytes(len(data) % 2)
        else:
            place = data.ljust(4, b"\0")
        listed.append(struct.pack(order + "HHI", tag, kind, count) + place)
    parts[1] = struct.pack(order + "I", end)
    return b"".join([*parts, *listed, bytes(4), values])
