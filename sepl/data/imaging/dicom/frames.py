"""Where the bytes of each frame of a DICOM file lie.

Uncompressed frames follow one another. Compressed ones are kept in fragments (DICOM PS3.5 section A.4): a frame is one
fragment or several, which a table of offsets, or the first bytes of each compressed picture, tell apart.
"""

import struct

from sepl.data.imaging.dicom.elements import UNDEFINED, Elements
from sepl.errors import ImageError

EXTENDED_OFFSETS = 0x7FE00001
_ITEM, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD
_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP")
"""JPEG and JPEG-LS, JPEG 2000, JPEG 2000 in its own file format."""

_MAX_FRAGMENTS = 100_000

Fragment = tuple[int, int]
"""(start, end) in the file."""


def find_plain_frame(elements: Elements, frame_size: int, num_frames: int, frame: int) -> Fragment:
    """An uncompressed frame. Raises ImageError when the file has not the frames that its header claims."""
    length = elements.pixels_length
    if length == UNDEFINED:
        raise ImageError("damaged DICOM", "pixels in fragments, but the transfer syntax is uncompressed")
    if elements.pixels_start + length > len(elements.data):
        raise ImageError("truncated DICOM", "the file ends in the middle of its pixels")
    if not num_frames * frame_size <= length < (num_frames + 1) * frame_size:
        raise ImageError(
            "damaged DICOM", f"{length} bytes of pixels, should be {num_frames * frame_size} for {num_frames} frames"
        )
    start = elements.pixels_start + frame * frame_size
    return start, start + frame_size


def find_coded_frames(elements: Elements, num_frames: int) -> list[list[Fragment]]:
    """The fragments of each compressed frame. Raises ImageError when they are not the frames that the header claims."""
    if elements.pixels_length != UNDEFINED:
        raise ImageError("damaged DICOM", "pixels without fragments, but the transfer syntax is a compressed one")
    items = _read_items(elements)
    if len(items) < 2:
        raise ImageError("no pixels", "the file holds no fragment")
    fragments = items[1:]  # the first item is the table of offsets
    if len(fragments) == num_frames:
        return [[fragment] for fragment in fragments]
    starts = _frame_starts(elements, items[0], fragments)
    if len(starts) != num_frames:
        raise ImageError(
            "damaged DICOM", f"{len(fragments)} fragments make {len(starts)} frames, NumberOfFrames says {num_frames}"
        )
    return [fragments[start:end] for start, end in zip(starts, [*starts[1:], len(fragments)], strict=True)]


def join(data: bytes, fragments: list[Fragment]) -> bytes:
    """The bytes of one frame."""
    return b"".join(data[start:end] for start, end in fragments)


def _read_items(elements: Elements) -> list[Fragment]:
    """All items; a missing end of the sequence is forgiven, a missing part of an item is not."""
    data, position, items = elements.data, elements.pixels_start, []
    while position + 8 <= len(data):
        group, element, length = struct.unpack_from("<HHI", data, position)
        tag, position = group << 16 | element, position + 8
        if tag == _SEQUENCE_END:
            break
        if tag != _ITEM:
            raise ImageError("damaged DICOM", "something else than a fragment among the fragments")
        if position + length > len(data):
            raise ImageError("truncated DICOM", "the file ends in the middle of its pixels")
        items.append((position, position + length))
        position += length
        if len(items) > _MAX_FRAGMENTS:
            raise ImageError("damaged DICOM", f"more than {_MAX_FRAGMENTS} fragments")
    return items


def _frame_starts(elements: Elements, table: Fragment, fragments: list[Fragment]) -> list[int]:
    """Index of the first fragment of each frame: by the offset table, else by the mark that a picture starts with."""
    offsets = _read_offsets(elements, table)
    if offsets:
        origin = fragments[0][0] - 8  # offsets count from the first fragment's item header
        index_of = {start - 8 - origin: index for index, (start, _) in enumerate(fragments)}
        starts = [index_of.get(offset, -1) for offset in offsets]
        if starts[0] != 0 or starts != sorted(set(starts)):
            raise ImageError("damaged DICOM", "the offset table points between its fragments")
        return starts
    data = elements.data
    marked = [index for index, (start, _) in enumerate(fragments) if data.startswith(_STARTS, start)]
    return marked or [0]


def _read_offsets(elements: Elements, table: Fragment) -> tuple[int, ...]:
    extended = elements.values.get(EXTENDED_OFFSETS, b"")
    if extended:
        return struct.unpack(f"<{len(extended) // 8}Q", extended[: len(extended) // 8 * 8])
    start, end = table
    return struct.unpack_from(f"<{(end - start) // 4}I", elements.data, start)
