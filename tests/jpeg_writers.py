"""Encoders for tests, for codes that nothing installed writes: JPEG lossless, JPEG-LS, JPEG of 12 bits or any markers.

Plain and slow: meant for pictures of a few thousand pixels.
"""

import struct
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

Plane = NDArray[np.unsignedinteger]


def compose_jpeg(planes: Sequence[NDArray[np.uint8]], *, ids: bytes, adobe: int | None, quality: int = 95) -> bytes:
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


class _Bits:
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
        stream = _Bits("byte")
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
            block = np.rint(dctn(padded[top : top + 8, left : left + 8], norm="ortho") / step).astype(int)
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
    stream = _Bits("byte")
    for difference in (values - predicted).reshape(-1).tolist():
        wrapped = (difference + 32768) % 65536 - 32768
        category = abs(wrapped).bit_length()
        stream.put(category, 5)
        if 0 < category < 16:
            stream.put(wrapped if wrapped > 0 else wrapped + 2**category - 1, category)
    data = stream.finish(1)
    huffman = struct.pack(">HH", 0xFFC4, 2 + len(table)) + table
    return b"".join([b"\xff\xd8", frame, huffman, scan, data, b"\xff\xd9"])


def encode_jpeg_ls(picture_HWC: Plane, bits: int, near: int = 0, is_interleaved: bool = True) -> bytes:
    """JPEG-LS (T.87), lossless or with an error of at most `near`; channels line by line in one scan or one by one."""
    height, width, channels = picture_HWC.shape
    components = b"".join(bytes([channel + 1, 0x11, 0]) for channel in range(channels))
    frame = struct.pack(">HHBHHB", 0xFFF7, 8 + len(components), bits, height, width, channels) + components
    groups = [tuple(range(channels))] if is_interleaved else [(channel,) for channel in range(channels)]
    scans = []
    for group in groups:
        selectors = b"".join(bytes([channel + 1, 0]) for channel in group)
        interleave = 1 if len(group) > 1 else 0
        header = struct.pack(">HHB", 0xFFDA, 6 + len(selectors), len(group)) + selectors + bytes([near, interleave, 0])
        scans.append(header + _JpegLsScan(bits, near).encode(picture_HWC[:, :, list(group)]))
    return b"".join([b"\xff\xd8", frame, *scans, b"\xff\xd9"])


_RUN_LENGTHS = [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4 + [4, 4, 5, 5, 6, 6, 7, 7, *range(8, 16)]
_RESET = 64


class _JpegLsScan:
    """The coder of one scan: names and steps are those of T.87 annex A."""

    def __init__(self, bits: int, near: int) -> None:
        self.max, self.near, self.step = 2**bits - 1, near, 2 * near + 1
        self.range = (self.max + 2 * near) // self.step + 1
        self.qbpp = (self.range - 1).bit_length()
        self.limit = 2 * (bits + max(8, bits))
        factor = (min(self.max, 4095) + 128) // 256
        first = min(max(factor + 2 + 3 * near, near + 1), self.max)
        second = min(max(factor * 4 + 3 + 5 * near, first), self.max)
        third = min(max(factor * 17 + 4 + 7 * near, second), self.max)
        self.thresholds = (first, second, third)
        self.n, self.a = [1] * 367, [max(2, (self.range + 32) // 64)] * 367
        self.b, self.c, self.nn = [0] * 367, [0] * 367, [0] * 367
        self.bits = _Bits("bit")

    def encode(self, picture_HWC: Plane) -> bytes:
        height, width, channels = picture_HWC.shape
        above = [[0] * (width + 2) for _ in range(channels)]
        run_index = [0] * channels
        for row in range(height):
            for channel in range(channels):
                line = picture_HWC[row, :, channel].tolist()
                previous = above[channel]
                previous[width + 1] = previous[width]
                current = [previous[1]] + [0] * (width + 1)
                run_index[channel] = self._encode_line(line, previous, current, run_index[channel])
                above[channel] = current
        return self.bits.finish(0)

    def _encode_line(self, line: list[int], previous: list[int], current: list[int], run_index: int) -> int:
        column, width = 1, len(line)
        while column <= width:
            left, up, corner, ahead = current[column - 1], previous[column], previous[column - 1], previous[column + 1]
            gradients = (ahead - up, up - corner, corner - left)
            if any(abs(gradient) > self.near for gradient in gradients):
                current[column] = self._encode_regular(line[column - 1], left, up, corner, gradients)
                column += 1
                continue
            start = column
            while column <= width and abs(line[column - 1] - left) <= self.near:
                current[column] = left
                column += 1
            run_index = self._encode_run(column - start, run_index, is_cut=column <= width)
            if column <= width:
                current[column] = self._encode_interruption(line[column - 1], left, previous[column], run_index)
                run_index = max(run_index - 1, 0)
                column += 1
        return run_index

    def _encode_regular(self, value: int, left: int, up: int, corner: int, gradients: tuple[int, ...]) -> int:
        levels = [self._quantise_gradient(gradient) for gradient in gradients]
        sign = -1 if next(level for level in levels if level) < 0 else 1
        q = sign * (81 * levels[0] + 9 * levels[1] + levels[2])
        predicted = sorted((left, up, left + up - corner))[1]  # the median is the edge-detecting prediction
        predicted = min(max(predicted + sign * self.c[q], 0), self.max)
        error, rebuilt = self._quantise_error(value, predicted, sign)
        k = self._golomb(self.n[q], self.a[q])
        if self.near == 0 and k == 0 and 2 * self.b[q] <= -self.n[q]:
            mapped = 2 * error + 1 if error >= 0 else -2 * (error + 1)
        else:
            mapped = 2 * error if error >= 0 else -2 * error - 1
        self._put(mapped, k, self.limit)
        self._update(q, error)
        return rebuilt

    def _encode_run(self, count: int, run_index: int, is_cut: bool) -> int:
        while count >= 1 << _RUN_LENGTHS[run_index]:
            self.bits.put(1, 1)
            count -= 1 << _RUN_LENGTHS[run_index]
            run_index = min(run_index + 1, 31)
        if is_cut:
            self.bits.put(0, 1)
            self.bits.put(count, _RUN_LENGTHS[run_index])
        elif count:
            self.bits.put(1, 1)
        return run_index

    def _encode_interruption(self, value: int, left: int, up: int, run_index: int) -> int:
        kind = int(abs(left - up) <= self.near)
        sign = -1 if not kind and left > up else 1
        error, rebuilt = self._quantise_error(value, left if kind else up, sign)
        q = 365 + kind
        k = self._golomb(self.n[q], self.a[q] + (self.n[q] >> 1 if kind else 0))
        many_negative = 2 * self.nn[q] >= self.n[q]
        flag = int((k == 0 and error > 0 and not many_negative) or (error < 0 and (many_negative or k != 0)))
        mapped = 2 * abs(error) - kind - flag
        self._put(mapped, k, self.limit - _RUN_LENGTHS[run_index] - 1)
        self.nn[q] += error < 0
        self.a[q] += (mapped + 1 - kind) >> 1
        if self.n[q] == _RESET:
            self.a[q], self.n[q], self.nn[q] = self.a[q] >> 1, self.n[q] >> 1, self.nn[q] >> 1
        self.n[q] += 1
        return rebuilt

    def _quantise_gradient(self, gradient: int) -> int:
        size = abs(gradient)
        level = 0 if size <= self.near else 1 + sum(size >= threshold for threshold in self.thresholds)
        return level if gradient > 0 else -level

    def _quantise_error(self, value: int, predicted: int, sign: int) -> tuple[int, int]:
        """The error in steps, brought into range, and the value that a decoder rebuilds."""
        error = sign * (value - predicted)
        steps = (error + self.near) // self.step if error > 0 else -((self.near - error) // self.step)
        rebuilt = min(max(predicted + sign * steps * self.step, 0), self.max)
        steps = steps + self.range if steps < 0 else steps
        return (steps - self.range if steps >= (self.range + 1) // 2 else steps), rebuilt

    def _golomb(self, count: int, total: int) -> int:
        k = 0
        while count << k < total:
            k += 1
        return k

    def _put(self, mapped: int, k: int, limit: int) -> None:
        high = mapped >> k
        if high < limit - self.qbpp - 1:
            self.bits.put(1, high + 1)
            self.bits.put(mapped & ((1 << k) - 1), k)
        else:
            self.bits.put(1, limit - self.qbpp)
            self.bits.put(mapped - 1, self.qbpp)

    def _update(self, q: int, error: int) -> None:
        self.b[q] += error * self.step
        self.a[q] += abs(error)
        if self.n[q] == _RESET:
            self.a[q], self.b[q], self.n[q] = self.a[q] >> 1, self.b[q] >> 1, self.n[q] >> 1
        self.n[q] += 1
        if self.b[q] <= -self.n[q]:
            self.b[q] = max(self.b[q] + self.n[q], 1 - self.n[q])
            self.c[q] = max(self.c[q] - 1, -128)
        elif self.b[q] > 0:
            self.b[q] = min(self.b[q] - self.n[q], 0)
            self.c[q] = min(self.c[q] + 1, 127)
