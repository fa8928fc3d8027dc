"""A shard: the uint8 pixels of some photographs of one cohort split, as one batch of an Arrow IPC file.

One uncompressed fixed-size column in one batch, so that a memory map of the file *is* the array (n, H, W, 3).
"""

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from sepl.config import Settings
from sepl.data.splits import COHORT_SPLITS
from sepl.errors import DatasetError
from sepl.storage import sha256_of_file

SHARD_BYTES = 64 * 2**20
"""Pixels a shard holds; one a cohort split is in memory while a cohort is prepared."""


class Shard(Settings):
    """A shard's entry in the manifest."""

    file: str = Field(pattern=r"^[a-z]+-\d{3,}\.arrow$")
    cohort_split: str
    num_photographs: int = Field(ge=1)
    num_bytes: int = Field(ge=1)
    sha256: str


class ShardWriter:
    """Gathers photographs by cohort split and writes a shard whenever one is full."""

    def __init__(self, folder: Path, image_size: int) -> None:
        self._folder = folder
        self._capacity = max(1, SHARD_BYTES // (image_size * image_size * 3))
        self._image_size = image_size
        self._open: dict[str, NDArray[np.uint8]] = {}
        self._filled: Counter[str] = Counter()
        self._shards: dict[str, list[Shard]] = defaultdict(list)

    def add(self, cohort_split: str, pixels_HWC: NDArray[np.uint8]) -> tuple[str, int]:
        """Takes one photograph; returns the file and the row where it will stand."""
        if cohort_split not in self._open:
            shape = (self._capacity, self._image_size, self._image_size, 3)
            self._open[cohort_split] = np.empty(shape, np.uint8)
        row = self._filled[cohort_split]
        self._open[cohort_split][row] = pixels_HWC
        self._filled[cohort_split] += 1
        file = self._file_of(cohort_split)
        if row + 1 == self._capacity:
            self._flush(cohort_split)
        return file, row

    def finish(self) -> tuple[Shard, ...]:
        """Writes what is left; all shards, in the order of `COHORT_SPLITS` and of writing."""
        for cohort_split in COHORT_SPLITS:
            if self._filled[cohort_split]:
                self._flush(cohort_split)
        return tuple(shard for cohort_split in COHORT_SPLITS for shard in self._shards[cohort_split])

    def _file_of(self, cohort_split: str) -> str:
        return f"{cohort_split}-{len(self._shards[cohort_split]):03d}.arrow"

    def _flush(self, cohort_split: str) -> None:
        pixels_NHWC = self._open[cohort_split][: self._filled[cohort_split]]
        shard = write_shard(self._folder, self._file_of(cohort_split), cohort_split, pixels_NHWC)
        self._shards[cohort_split].append(shard)
        self._filled[cohort_split] = 0


def write_shard(folder: Path, file: str, cohort_split: str, pixels_NHWC: NDArray[np.uint8]) -> Shard:
    """Writes pixels (n, H, W, 3) and describes what was written."""
    num_photographs, row_bytes = len(pixels_NHWC), pixels_NHWC[0].nbytes
    buffers = [None, pa.py_buffer(np.ascontiguousarray(pixels_NHWC))]
    column = pa.FixedSizeBinaryArray.from_buffers(pa.binary(row_bytes), num_photographs, buffers)
    shape = ",".join(str(length) for length in pixels_NHWC.shape[1:])
    schema = pa.schema(
        [pa.field("pixels", column.type, nullable=False, metadata={"shape": shape, "layout": "HWC RGB"})]
    )
    path = folder / file
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.record_batch([column], schema=schema))
    return Shard(
        file=file,
        cohort_split=cohort_split,
        num_photographs=num_photographs,
        num_bytes=path.stat().st_size,
        sha256=sha256_of_file(path),
    )


def map_shard(path: Path, image_size: int) -> NDArray[np.uint8]:
    """The pixels (n, H, W, 3) of a shard, memory-mapped and read-only. Raises DatasetError when it is not one."""
    wanted = f"{path} should be an Arrow shard of {image_size}×{image_size} RGB pixels"
    try:
        column = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0).column(0)
        row_bytes = column.type.byte_width
        pixels = np.frombuffer(column.buffers()[1], np.uint8)
    except (OSError, pa.ArrowException, ValueError, IndexError) as problem:
        raise DatasetError(f"{wanted}: {problem}") from None
    if row_bytes != image_size * image_size * 3:
        raise DatasetError(f"{wanted}, had {row_bytes} bytes a photograph")
    return pixels[: len(column) * row_bytes].reshape(-1, image_size, image_size, 3)
