"""The few elements of a DICOM file that sepl reads, found in its bytes.

A walk over the element headers (DICOM PS3.5 section 7) that steps over every value but those asked for: names, birth
dates and free text that nobody asked for are never looked at, and no value is parsed that could be damaged. What comes
after the pixels, and what lies inside sequences, is left alone.
"""

import re
import struct
import zlib
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from sepl.errors import ImageError

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

UNDEFINED = 0xFFFFFFFF
NUM_FRAMES = 0x00280008
_PIXEL_DATA = 0x7FE00010
_TRANSFER_SYNTAX = 0x00020010
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
_PREAMBLE = 132
_MAX_ELEMENTS = 100_000
"""A photograph's header has about a hundred; a forged one would have us step for minutes."""
_MAX_INFLATION = 250
_MAX_INFLATED = 2**29
"""A black photograph deflates to a thousandth, a fundus on black to a twentieth of its size."""


@dataclass(frozen=True)
class Elements:
    """The values asked for, and where the pixels lie."""

    syntax: str
    """UID of the transfer syntax."""
    values: dict[int, bytes] = field(repr=False)
    data: bytes = field(repr=False)
    """The file, inflated when it was deflated."""
    pixels_start: int
    """Where in `data` the value of the pixel data starts; 0 when there is none."""
    pixels_length: int
    """In bytes; `UNDEFINED` when the pixels are fragments."""
    pixels_vr: bytes

    @property
    def order(self) -> str:
        """Of the bytes of a number, as struct and numpy spell it."""
        return ">" if self.syntax == EXPLICIT_BIG else "<"

    def text(self, tag: int) -> str:
        """First value, without padding; empty when absent."""
        value = self.values.get(tag, b"").partition(b"\\")[0]
        try:
            return value.decode("utf-8").strip(" \0\t\r\n")
        except UnicodeDecodeError:
            return value.decode("latin-1").strip(" \0\t\r\n")

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Unsigned 16-bit values; one of 32 bits when a writer took four bytes for a single number."""
        value = self.values.get(tag, b"")
        if len(value) == 4:
            (low, high) = struct.unpack(self.order + "HH", value)
            both = (low, high) if self.order == "<" else (high, low)
            return both[:1] if both[1] == 0 else (both[1] << 16 | both[0],)
        return struct.unpack(f"{self.order}{len(value) // 2}H", value[: len(value) // 2 * 2])

    def number(self, tag: int, default: int) -> int:
        """The first of `numbers`."""
        return next(iter(self.numbers(tag)), default)

    def decimal(self, tag: int) -> float | None:
        """First value of a decimal string; None when absent or no number."""
        text = self.text(tag)
        return float(text) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?", text) else None


def is_dicom(source: bytes) -> bool:
    """Whether the bytes are a DICOM file: DICM after a preamble, or a first element that a DICOM file starts with."""
    return source[128:_PREAMBLE] == b"DICM" or _starts_with_an_element(source)


def read_elements(source: bytes, tags: Collection[int]) -> Elements:
    """The values of these tags in the file's own data set. Raises ImageError when its header is damaged.

    Tags of the file's meta information (group 2) are not given.
    """
    try:
        start, syntax = _read_meta(source, _PREAMBLE if source[128:_PREAMBLE] == b"DICM" else 0)
        data = source
        if syntax == DEFLATED:
            data, start = _inflate(source, start), 0
        return _read_data_set(data, start, syntax, tags)
    except (struct.error, IndexError) as problem:
        raise ImageError("truncated DICOM", "the header ends in the middle of an element") from problem


def _starts_with_an_element(source: bytes) -> bool:
    """Old exports have no preamble: they start with group 2 or 8, and a second element follows the first."""
    try:
        tag, _, length, start = _read_element_header(source, 0, "<", source[4:6].isalpha())
        following = struct.unpack_from("<H", source, start + length)[0] if length < 1024 else 0
    except (struct.error, IndexError):
        return False
    return tag in (0x00020000, 0x00020001, 0x00080000, 0x00080001, 0x00080005, 0x00080008, 0x00080016) and (
        following in (0x0002, 0x0008)
    )


def _read_meta(source: bytes, start: int) -> tuple[int, str]:
    """Where the data set starts, and its transfer syntax."""
    syntax = ""
    for _ in range(_MAX_ELEMENTS):
        (group,) = struct.unpack_from("<H", source, start)
        if group != 0x0002:
            return start, syntax or _guess_syntax(source, start)
        tag, _, length, value = _read_element_header(source, start, "<", True)
        if tag == _TRANSFER_SYNTAX:
            syntax = source[value : value + min(length, 64)].decode("latin-1").strip(" \0")
        start = value + length
    raise ImageError("damaged DICOM", f"more than {_MAX_ELEMENTS} elements")


def _guess_syntax(source: bytes, start: int) -> str:
    return EXPLICIT_LITTLE if _is_vr(source[start + 4 : start + 6]) else IMPLICIT_LITTLE


def _inflate(source: bytes, start: int) -> bytes:
    most = min(_MAX_INFLATED, 2**20 + _MAX_INFLATION * len(source))
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(source[start:], most)
    except zlib.error as problem:
        raise ImageError("damaged DICOM", "its data cannot be inflated") from problem
    if inflater.unconsumed_tail:
        raise ImageError("too large", f"inflates to more than {most // 2**20} MiB")
    return data


def _read_data_set(data: bytes, start: int, syntax: str, tags: Collection[int]) -> Elements:
    order, is_explicit = ">" if syntax == EXPLICIT_BIG else "<", syntax != IMPLICIT_LITTLE
    values: dict[int, bytes] = {}
    for _ in range(_MAX_ELEMENTS):
        if len(data) - start < 8 or int.from_bytes(data[start : start + 2], _byte_order(order)) > 0x7FE0:
            return Elements(syntax, values, data, 0, 0, b"")
        tag, vr, length, value = _read_element_header(data, start, order, is_explicit)
        if tag == _PIXEL_DATA:
            return Elements(syntax, values, data, value, length, vr)
        if length == UNDEFINED:
            start = _end_of_sequence(data, value, order, is_explicit)
            continue
        start = value + length
        if start > len(data):
            raise ImageError("truncated DICOM", "the header ends in the middle of an element")
        if tag in tags:
            values.setdefault(tag, bytes(data[value:start]))
    raise ImageError("damaged DICOM", f"more than {_MAX_ELEMENTS} elements")


def _read_element_header(data: bytes, start: int, order: str, is_explicit: bool) -> tuple[int, bytes, int, int]:
    """(tag, VR, length of the value, where it starts). Without a VR, it is implicit even in an explicit file."""
    group, element = struct.unpack_from(order + "HH", data, start)
    tag = group << 16 | element
    vr = data[start + 4 : start + 6]
    if not is_explicit or group == 0xFFFE or not _is_vr(vr):
        return tag, b"", struct.unpack_from(order + "I", data, start + 4)[0], start + 8
    if vr in _LONG:
        return tag, vr, struct.unpack_from(order + "I", data, start + 8)[0], start + 12
    return tag, vr, struct.unpack_from(order + "H", data, start + 6)[0], start + 8


def _end_of_sequence(data: bytes, start: int, order: str, is_explicit: bool) -> int:
    """Where a sequence of undefined length ends that starts here; what lies within, however deep, is stepped over."""
    depth = 1
    for _ in range(_MAX_ELEMENTS):
        tag, _, length, value = _read_element_header(data, start, order, is_explicit)
        start = value
        if tag in (_ITEM_END, _SEQUENCE_END):
            depth -= 1
            if depth == 0:
                return start
        elif length == UNDEFINED:
            depth += 1
        else:
            start = value + length
    raise ImageError("damaged DICOM", f"more than {_MAX_ELEMENTS} elements in a sequence")


def _is_vr(code: bytes) -> bool:
    return len(code) == 2 and code.isalpha() and code.isupper()


def _byte_order(order: str) -> Literal["little", "big"]:
    return "little" if order == "<" else "big"
