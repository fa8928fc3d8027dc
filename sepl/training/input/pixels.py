"""Where a trial's pixels lie, and how batches of them reach the device.

Photographs are decoded once, by preparation; here they are only gathered.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

RESIDENT_SHARE = 0.4
"""Of the free memory of a GPU that pixels may take; the rest is for the network, and for others on the same GPU."""


class PixelSource(Protocol):
    """Photographs (H, W, 3) uint8 by their row."""

    @property
    def num_photographs(self) -> int: ...

    def batches(self, order_SB: Tensor) -> Iterator[Tensor]:
        """For each step the photographs (B, H, W, 3) of its rows, on the device; `order_SB` is int64 on the CPU."""
        ...


def open_pixels(shards: Sequence[NDArray[np.uint8]], device: torch.device) -> PixelSource:
    """On a GPU that has the room the pixels themselves, else the maps: a CPU reads those in place, without a copy."""
    if device.type == "cuda" and _fits(shards, device):
        return ResidentPixels(shards, device)
    return MappedPixels(shards, device)


def _fits(shards: Sequence[NDArray[np.uint8]], device: torch.device) -> bool:
    free, _ = torch.cuda.mem_get_info(device)
    return sum(shard.nbytes for shard in shards) <= RESIDENT_SHARE * free


class ResidentPixels:
    """All pixels in the device's memory."""

    def __init__(self, shards: Sequence[NDArray[np.uint8]], device: torch.device) -> None:
        self.num_photographs = sum(len(shard) for shard in shards)
        self._pixels_NHWC = torch.empty((self.num_photographs, *shards[0].shape[1:]), dtype=torch.uint8, device=device)
        start = 0
        for shard in shards:
            for rows in range(0, len(shard), 1024):  # a map cannot be wrapped read-only, nor copied whole without need
                part = torch.from_numpy(np.array(shard[rows : rows + 1024]))
                self._pixels_NHWC[start : start + len(part)] = part
                start += len(part)

    def batches(self, order_SB: Tensor) -> Iterator[Tensor]:
        for rows_B in order_SB.to(self._pixels_NHWC.device):  # one small copy an epoch
            yield self._pixels_NHWC.index_select(0, rows_B)


class MappedPixels:
    """Pixels in memory-mapped shards, gathered for each batch; on a GPU the next batch is copied during a step."""

    def __init__(self, shards: Sequence[NDArray[np.uint8]], device: torch.device) -> None:
        self._shards = shards
        self._device = device
        self._starts = np.cumsum([0, *(len(shard) for shard in shards)])
        self.num_photographs = int(self._starts[-1])

    def batches(self, order_SB: Tensor) -> Iterator[Tensor]:
        if self._device.type == "cuda":
            yield from self._copied_ahead(order_SB.numpy())
            return
        for rows_B in order_SB.numpy():
            pixels_BHWC = np.empty(self._shape(len(rows_B)), np.uint8)
            self._gather(rows_B, pixels_BHWC)
            yield torch.from_numpy(pixels_BHWC)

    def _gather(self, rows_B: NDArray[np.int64], into_BHWC: NDArray[np.uint8]) -> None:
        """NumPy rather than torch: it copies without a second pool of threads, and lets go of the interpreter."""
        shard_B = np.searchsorted(self._starts, rows_B, side="right") - 1
        for index in np.unique(shard_B):
            places = np.flatnonzero(shard_B == index)
            local = rows_B[places] - self._starts[index]
            if len(places) == len(rows_B):
                np.take(self._shards[index], local, axis=0, out=into_BHWC, mode="clip")  # "raise" would buffer
            else:
                into_BHWC[places] = self._shards[index][local]

    def _shape(self, num_photographs: int) -> tuple[int, ...]:
        return (num_photographs, *self._shards[0].shape[1:])

    def _copied_ahead(self, order_SB: NDArray[np.int64]) -> Iterator[Tensor]:
        """One thread gathers into page-locked memory and copies on a stream of its own, a batch ahead."""
        staging = _Staging(self._shape(order_SB.shape[1]), self._device)

        def stage(step: int) -> tuple[Tensor, torch.cuda.Event]:
            return staging.copy(step, lambda into_BHWC: self._gather(order_SB[step], into_BHWC))

        with ThreadPoolExecutor(max_workers=1) as thread:
            ahead = thread.submit(stage, 0)
            for step in range(len(order_SB)):
                pixels_BHWC, copied = ahead.result()
                if step + 1 < len(order_SB):
                    ahead = thread.submit(stage, step + 1)
                stream = torch.cuda.current_stream(self._device)
                stream.wait_event(copied)  # the device waits, not the host
                pixels_BHWC.record_stream(stream)
                yield pixels_BHWC


class _Staging:
    """Two page-locked buffers in turn, and the stream that empties them."""

    def __init__(self, shape: tuple[int, ...], device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._buffers = [torch.empty(shape, dtype=torch.uint8, pin_memory=True) for _ in range(2)]
        self._copied = [torch.cuda.Event() for _ in range(2)]

    def copy(self, step: int, fill: Callable[[NDArray[np.uint8]], None]) -> tuple[Tensor, torch.cuda.Event]:
        buffer_BHWC, copied = self._buffers[step % 2], self._copied[step % 2]
        copied.synchronize()  # what the buffer held before has left; computation is on another stream
        fill(buffer_BHWC.numpy())
        with torch.cuda.stream(self._stream):
            pixels_BHWC = buffer_BHWC.to(self._device, non_blocking=True)
            copied.record(self._stream)
        return pixels_BHWC, copied
