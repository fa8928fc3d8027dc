"""Encoders for tests, as nothing installed writes these: JPEG lossless, JPEG of 12 bits, JPEG with any colour markers.

Plain and slow: meant for pictures of a few thousand pixels.
"""

import struct
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

Plane = NDArray[np.integer]
"""Of numbers from 0; so wide a type, as shifted arrays are integers of either kind to NumPy's stubs."""


def planes_of(picture_HWC: Plane) -> list[Plane]:
    """Its channels (H, W), one by one."""
    return [np.ascontiguousarray(picture_HWC[:, :, channel]) for channel in range(picture_HWC.shape[2])]


def compose_jpeg(planes: Sequence[Plane], *, ids: bytes, adobe: int | None, quality: int = 95) -> bytes:
    """A baseline JPEG of these planes as they are, under these component ids, with Adobe's marker or without, no JFIF.

    Each plane is coded as a grey picture by OpenCV; as all have the same tables, their scans make one picture.
    """
    greys = [
        _segments(cv2.imencode(".jpg", plane, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()) for plane in planes
    ]
    tables, frame, _ = greys[0]
    height, width = planes[0].shape
    components = b"".join(bytes([name, 0x11, 0]) for name in ids)
    frame = struct.pack(">HHBHHB", 0xFFC0, 8 + len(components), 8, height, width, len(ids)) + components
    note = b"" if adobe is None else struct.pack(">HH5sHHHB", 0xFFEE, 14, b"Adobe", 100, 0, 0, adobe)
    scans = [
        struct.pack(">HHBBBBBB", 0xFFDA, 8, 1, name, 0, 0, 63, 0) + scan
        for name, (_, _, scan) in zip(ids, greys, strict=True)
    ]
    return b"".join([b"\xff\xd8", note, tables, frame, *scans, b"\xff\xd9"])


def _segments(jpeg: bytes) -> tuple[bytes, bytes, bytes]:
    """(tables, frame header, entropy-coded data of the only scan)."""
    position, tables, frame = 2, b"", b""
    while True:
        marker, length = struct.unpack_from(">HH", jpeg, position)
        segment = jpeg[position : position + 2 + length]
        position += 2 + length
        if marker == 0xFFDA:
            return tables, frame, jpeg[position : jpeg.rindex(b"\xff\xd9")]
        if marker in (0xFFDB, 0xFFC4):
            tables += segment
        elif marker == 0xFFC0:
            frame = segment


def strip_notes(jpeg: bytes) -> bytes:
    """A JPEG without any marker of an application."""
    position, kept = 2, [jpeg[:2]]
    while True:
        marker, length = struct.unpack_from(">HH", jpeg, position)
        if marker == 0xFFDA:
            return b"".join([*kept, jpeg[position:]])
        if not 0xFFE0 <= marker <= 0xFFEF:
            kept.append(jpeg[position : position + 2 + length])
        position += 2 + length


class BitWriter:
    """Bits to bytes; `stuffing` says what follows a byte of ones: a zero byte (JPEG) or a zero bit (JPEG-LS)."""

    def __init__(self, stuffing: str) -> None:
        self.data = bytearray()
        self._stuffing = stuffing
        self._value, self._count, self._room = 0, 0, 8

    def put(self, value: int, count: int) -> None:
        for position in range(count - 1, -1, -1):
            self._value = self._value << 1 | (value >> position & 1)
            self._count += 1
            if self._count == self._room:
                self._flush_byte()

    def finish(self, padding: int) -> bytes:
        while self._count:
            self.put(padding, 1)
        if self._stuffing == "bit" and self.data[-1:] == b"\xff":
            self.data.append(0)
        return bytes(self.data)

    def _flush_byte(self) -> None:
        self.data.append(self._value)
        is_full = self._value == 0xFF
        self._room = 7 if is_full and self._stuffing == "bit" else 8
        if is_full and self._stuffing == "byte":
            self.data.append(0)
        self._value = self._count = 0


def encode_extended_jpeg(planes: Sequence[Plane], bits: int, *, ids: bytes, adobe: int | None = None) -> bytes:
    """JPEG extended (T.81, sequential, Huffman) of more than 8 bits: a scan a plane, codes of one length."""
    height, width = planes[0].shape
    step = 4
    components = b"".join(bytes([name, 0x11, 0]) for name in ids)
    frame = struct.pack(">HHBHHB", 0xFFC1, 8 + len(components), bits, height, width, len(ids)) + components
    note = b"" if adobe is None else struct.pack(">HH5sHHHB", 0xFFEE, 14, b"Adobe", 100, 0, 0, adobe)
    quantisation = struct.pack(">HHB", 0xFFDB, 67, 0) + bytes([step] * 64)
    symbols = [_block_symbols(plane.astype(np.float64) - 2 ** (bits - 1), step) for plane in planes]
    tables, parts = [], []
    for kind in (0, 1):  # direct current, alternating current
        used = sorted({symbol for plane in symbols for which, symbol, _, _ in plane if which == kind})
        tables.append({symbol: code for code, symbol in enumerate(used)})
        table = bytes([kind << 4, 0, 0, 0, 0, 0, 0, 0, len(used)] + [0] * 8 + used)
        parts.append(struct.pack(">HH", 0xFFC4, 2 + len(table)) + table)
    for name, plane in zip(ids, symbols, strict=True):
        stream = BitWriter("byte")
        for kind, symbol, value, count in plane:
            stream.put(tables[kind][symbol], 8)
            stream.put(value, count)
        parts.append(struct.pack(">HHBBBBBB", 0xFFDA, 8, 1, name, 0, 0, 63, 0) + stream.finish(1))
    return b"".join([b"\xff\xd8", note, quantisation, frame, *parts, b"\xff\xd9"])


def _block_symbols(plane: NDArray[np.float64], step: int) -> list[tuple[int, int, int, int]]:
    """(table, symbol, extra bits, how many) of every coefficient of every block of 8×8."""
    order = sorted(np.ndindex(8, 8), key=lambda place: (sum(place), place[0] if sum(place) % 2 else place[1]))
    padded = np.pad(plane, [(0, -size % 8) for size in plane.shape], mode="edge")
    made, previous = [], 0
    for top in range(0, padded.shape[0], 8):
        for left in range(0, padded.shape[1], 8):
            coefficients: NDArray[np.float64] = np.asarray(dctn(padded[top : top + 8, left : left + 8], norm="ortho"))
            block = np.rint(coefficients / step).astype(int)
            levels = [int(block[place]) for place in order]
            made.append(_symbol(0, 0, levels[0] - previous))
            previous = levels[0]
            made += _run_symbols(levels[1:])
    return made


def _run_symbols(levels: list[int]) -> list[tuple[int, int, int, int]]:
    made, zeros = [], 0
    last = max((index for index, level in enumerate(levels) if level), default=-1)
    for level in levels[: last + 1]:
        if level == 0:
            zeros += 1
            continue
        made += [(1, 0xF0, 0, 0)] * (zeros // 16)
        made.append(_symbol(1, zeros % 16, level))
        zeros = 0
    return made if last == len(levels) - 1 else [*made, (1, 0, 0, 0)]


def _symbol(kind: int, run: int, level: int) -> tuple[int, int, int, int]:
    category = abs(level).bit_length()
    return kind, run << 4 | category, level if level > 0 else level + 2**category - 1, category


def encode_lossless_jpeg(picture_HWC: Plane, bits: int) -> bytes:
    """JPEG lossless (T.81 annex H): first-order prediction from the left, one Huffman code of five bits a category."""
    height, width, channels = picture_HWC.shape
    components = b"".join(bytes([channel + 1, 0x11, 0]) for channel in range(channels))
    frame = struct.pack(">HHBHHB", 0xFFC3, 8 + len(components), bits, height, width, channels) + components
    table = bytes([0, 0, 0, 0, 0, 17] + [0] * 11) + bytes(range(17))  # class and id, counts by length, categories
    selectors = b"".join(bytes([channel + 1, 0]) for channel in range(channels))
    scan = struct.pack(">HHB", 0xFFDA, 6 + len(selectors), channels) + selectors + bytes([1, 0, 0])
    values = picture_HWC.astype(np.int64)
    predicted = np.empty_like(values)
    predicted[:, 1:] = values[:, :-1]
    predicted[1:, 0] = values[:-1, 0]
    predicted[0, 0] = 2 ** (bits - 1)
    stream = BitWriter("byte")
    for difference in (values - predicted).reshape(-1).tolist():
        wrapped = (difference + 32768) % 65536 - 32768
        category = abs(wrapped).bit_length()
        stream.put(category, 5)
        if 0 < category < 16:
            stream.put(wrapped if wrapped > 0 else wrapped + 2**category - 1, category)
    data = stream.finish(1)
    huffman = struct.pack(">HH", 0xFFC4, 2 + len(table)) + table
    return b"".join([b"\xff\xd8", frame, huffman, scan, data, b"\xff\xd9"])
