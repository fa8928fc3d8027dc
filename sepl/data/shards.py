"""A shard: the uint8 pixels of some photographs of one cohort split, as one batch of an Arrow IPC file.

One uncompressed fixed-size column in one batch, so that a memory map of the file *is* the array (n, H, W, 3).
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from sepl.config import Settings
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
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        column = reader.get_batch(0).column(0)
        pixels = np.frombuffer(column.buffers()[1], np.uint8)
        return pixels[: len(column) * column.type.byte_width].reshape(-1, image_size, image_size, 3)
    except (OSError, pa.ArrowException, ValueError, IndexError) as problem:
        raise DatasetError(
            f"{path}: should be an Arrow shard of {image_size}×{image_size} RGB pixels: {problem}"
        ) from None
