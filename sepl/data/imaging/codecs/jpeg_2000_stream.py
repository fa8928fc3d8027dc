"""What the headers of a JPEG 2000 codestream say, read without decoding, and what decoding it would cost.

The markers are those of ITU-T T.800 annex A. A decoder keeps books on every tile, precinct and code block of a picture,
and steps through every layer of each: a header of two hundred bytes can ask for gigabytes and hours. So these are
counted first.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from sepl.errors import ImageError

MAX_TILES = 4096
MAX_PRECINCTS = 100_000
"""Of all components and resolutions; openjpeg takes 1.6 kB for each. 50 megapixels in 64×64 have 50,000."""
MAX_BLOCKS = 1_000_000
"""Of all components; 0.3 kB each. 50 megapixels in code blocks of 16×16 have 600,000."""
MAX_PACKETS = 5_000_000
"""A layer of a precinct each; 0.3 µs for an empty one."""

_SOC, _SIZ, _COD, _COC, _SOT, _SOD, _EOC = 0xFF4F, 0xFF51, 0xFF52, 0xFF53, 0xFF90, 0xFF93, 0xFFD9


@dataclass(frozen=True)
class Codestream:
    """The main header of a codestream. Sizes in pixels."""

    width: int
    height: int
    num_components: int
    precision: int
    has_transform: bool
    """Whether the decoder turns the components into RGB."""


@dataclass(frozen=True)
class _Grid:
    width: int
    height: int
    num_tiles: int
    tile_width: int
    tile_height: int


def read_codestream(source: bytes) -> Codestream:
    """The header of a codestream. Raises ImageError when it is damaged or would cost too much to decode."""
    try:
        return _read(source)
    except (struct.error, IndexError) as problem:
        raise ImageError("damaged or truncated JPEG 2000") from problem


def _read(source: bytes) -> Codestream:
    (start,) = struct.unpack_from(">H", source)
    segments = list(_read_segments(source, 2, _SOT))
    codings = [source[begin:end] for marker, begin, end in segments if marker == _COD]
    if start != _SOC or segments[0][0] != _SIZ or len(codings) != 1:
        raise ImageError("damaged JPEG 2000", "its header does not say how it is coded")
    grid, num_components, precision = _read_size(source)
    own = [source[begin + 1 : end] for marker, begin, end in segments if marker == _COC]
    _check_cost(grid, num_components, int.from_bytes(codings[0][2:4], "big"), [codings[0][:1] + codings[0][5:], *own])
    _check_tile_parts(source, segments[-1][2])
    return Codestream(grid.width, grid.height, num_components, precision, has_transform=codings[0][4] == 1)


def _read_segments(source: bytes, position: int, last: int) -> Iterator[tuple[int, int, int]]:
    """(marker, start and end of its parameters) up to the marker `last`."""
    while True:
        marker, length = struct.unpack_from(">HH", source, position)
        if marker == last:
            return
        if marker < _SOC or marker in (_SOT, _SOD, _EOC) or length < 2 or position + 2 + length > len(source):
            raise ImageError("damaged JPEG 2000", "a marker in its header has no place there")
        yield marker, position + 4, position + 2 + length
        position += 2 + length


def _read_size(source: bytes) -> tuple[_Grid, int, int]:
    right, bottom, left, top, tile_width, tile_height, tile_left, tile_top, count = struct.unpack_from(
        ">8IH", source, 8
    )
    components = [source[42 + 3 * index : 45 + 3 * index] for index in range(min(count, 5))]
    if not components or any(component != components[0] or component[1:] != b"\1\1" for component in components):
        raise ImageError("unsupported JPEG 2000", "components of different depth or size")
    precision = (components[0][0] & 0x7F) + 1
    if precision > 16:
        raise ImageError("unsupported JPEG 2000", f"{precision} bits, should be 16 or less")
    if right <= left or bottom <= top or not tile_width or not tile_height or tile_left > left or tile_top > top:
        raise ImageError("damaged JPEG 2000", "a picture or tiles without a size")
    num_tiles = -(-(right - tile_left) // tile_width) * -(-(bottom - tile_top) // tile_height)
    if num_tiles > MAX_TILES:
        raise ImageError("unsupported JPEG 2000", f"{num_tiles} tiles, most is {MAX_TILES}")
    width, height = right - left, bottom - top
    return _Grid(width, height, num_tiles, min(tile_width, width), min(tile_height, height)), count, precision


def _check_cost(grid: _Grid, num_components: int, num_layers: int, codings: list[bytes]) -> None:
    """Raises ImageError when any of these codings, used for all components, would make too many parts."""
    num_precincts = max(_count_precincts(grid, coding) for coding in codings) * num_components
    num_blocks = max(_count_blocks(grid, coding) for coding in codings) * num_components
    num_packets = num_precincts * num_layers
    for name, number, most in (
        ("precincts", num_precincts, MAX_PRECINCTS),
        ("code blocks", num_blocks, MAX_BLOCKS),
        ("packets", num_packets, MAX_PACKETS),
    ):
        if number > most:
            raise ImageError("unsupported JPEG 2000", f"{number} {name}, most is {most}")


def _count_precincts(grid: _Grid, coding: bytes) -> int:
    """Of one component, at most; `coding` is its style, levels, block width and height, style, wavelet, precincts."""
    levels = coding[1]
    if levels > 32 or (coding[0] & 1 and len(coding) < 6 + levels + 1):
        raise ImageError("damaged JPEG 2000", "its header does not say how it is coded")
    count = 0
    for level in range(levels + 1):
        size = coding[6 + level] if coding[0] & 1 else 0xFF
        shrink = levels - level
        across = (grid.tile_width >> shrink >> (size & 15)) + 2
        down = (grid.tile_height >> shrink >> (size >> 4)) + 2
        count += across * down
    return count * grid.num_tiles


def _count_blocks(grid: _Grid, coding: bytes) -> int:
    return (grid.width * grid.height >> (coding[2] & 15) + (coding[3] & 15) + 4) + 1


def _check_tile_parts(source: bytes, position: int) -> None:
    """Raises ImageError when a tile has a coding of its own, which could cost what the main header's does not."""
    while True:
        (marker,) = struct.unpack_from(">H", source, position)
        if marker == _EOC:
            return
        if marker != _SOT:
            raise ImageError("damaged JPEG 2000", "a tile does not end where it says")
        (length,) = struct.unpack_from(">I", source, position + 6)
        for name, _, _ in _read_segments(source, position + 12, _SOD):
            if name in (_COD, _COC):
                raise ImageError("unsupported JPEG 2000", "a tile coded in its own way")
        if length == 0:  # the last one, up to the end
            return
        if length < 14:
            raise ImageError("damaged JPEG 2000", "a tile does not end where it says")
        position += length
