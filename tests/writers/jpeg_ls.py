"""An encoder of JPEG-LS (ITU-T T.87) for tests, as nothing installed writes it. Plain and slow."""

import struct

from writers.jpeg import BitWriter, Plane


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
        self.bits = BitWriter("bit")

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
