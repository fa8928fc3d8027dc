"""A shard: the uint8 pixels of some photographs, as one batch of an Arrow IPC file.

One uncompressed fixed-size column in one batch, so that a memory map of the file *is* the array (n, H, W, 3).
"""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from sepl.errors import DatasetError, StorageError
from sepl.settings import Settings
from sepl.storage import Location, resolve

SHARD_BYTES = 64 * 2**20
"""Pixels of a shard, at most; this much is in memory for each that is being written."""
SHARD_PHOTOGRAPHS = 256
"""In a shard, at most: a second or two of decoding, which is what a run that is killed loses a worker."""


class Shard(Settings):
    """A shard's entry in the manifest."""

    file: str = Field(pattern=r"^[a-z]+-[0-9a-f]{3,64}\.arrow$")
    cohort_split: str
    num_photographs: int = Field(ge=1)
    num_bytes: int = Field(ge=1)
    sha256: str


@dataclass(frozen=True)
class Pixels:
    """A file of pixels that is whole, under any name."""

    uri: str
    num_photographs: int
    num_bytes: int
    sha256: str

    def as_shard(self, cohort_split: str) -> Shard:
        """What it is called in a manifest: by its content."""
        return Shard(
            file=f"{cohort_split}-{self.sha256[:12]}.arrow",
            cohort_split=cohort_split,
            num_photographs=self.num_photographs,
            num_bytes=self.num_bytes,
            sha256=self.sha256,
        )


def photographs_per_shard(image_size: int) -> int:
    return min(SHARD_PHOTOGRAPHS, max(1, SHARD_BYTES // (image_size * image_size * 3)))


def write_pixels(place: Location, pixels_NHWC: NDArray[np.uint8]) -> Pixels:
    """Writes pixels (n, H, W, 3), whole or not at all."""
    if place.is_local:
        num_bytes, sha256 = _write_local(place.local_path(), pixels_NHWC)
    else:
        content = io.BytesIO()
        num_bytes, sha256 = _write_hashed(content, pixels_NHWC)
        place.write_bytes(content.getbuffer())
    return Pixels(place.uri, len(pixels_NHWC), num_bytes, sha256)


def read_pixels(place: Location, image_size: int) -> NDArray[np.uint8]:
    """The pixels (n, H, W, 3) at a place: mapped when it is local, else fetched."""
    if place.is_local:
        return map_shard(place.local_path(), image_size)
    return _pixels_in(pa.BufferReader(place.read_bytes()), place.uri, image_size)


def map_shard(path: Path, image_size: int) -> NDArray[np.uint8]:
    """The pixels (n, H, W, 3) of a shard, memory-mapped and read-only. Raises DatasetError when it is not one."""
    try:
        return _pixels_in(pa.memory_map(str(path)), str(path), image_size)
    except OSError as problem:
        raise DatasetError(f"{_wanted(str(path), image_size)}: {problem}") from None


def _pixels_in(source: pa.NativeFile, name: str, image_size: int) -> NDArray[np.uint8]:
    wanted = _wanted(name, image_size)
    try:
        column = pa.ipc.open_file(source).get_batch(0).column(0)
        row_bytes = column.type.byte_width
        pixels = np.frombuffer(column.buffers()[1], np.uint8)
    except (OSError, pa.ArrowException, ValueError, IndexError) as problem:
        raise DatasetError(f"{wanted}: {problem}") from None
    if row_bytes != image_size * image_size * 3:
        raise DatasetError(f"{wanted}, had {row_bytes} bytes a photograph")
    return pixels[: len(column) * row_bytes].reshape(-1, image_size, image_size, 3)


def _wanted(name: str, image_size: int) -> str:
    return f"{name} should be an Arrow shard of {image_size}×{image_size} RGB pixels"


def _write_local(path: Path, pixels_NHWC: NDArray[np.uint8]) -> tuple[int, str]:
    try:
        with resolve(path).staged() as staging, staging.open("wb") as stream:
            return _write_hashed(stream, pixels_NHWC)
    except StorageError:
        raise
    except OSError as problem:
        raise StorageError(f"cannot write {path}: {problem.strerror}") from problem


def _write_hashed(stream: Any, pixels_NHWC: NDArray[np.uint8]) -> tuple[int, str]:
    hashing = _Hashing(stream)
    _write_ipc(pa.PythonFile(hashing, "w"), pixels_NHWC)
    return hashing.num_bytes, hashing.digest.hexdigest()


def _write_ipc(sink: pa.NativeFile, pixels_NHWC: NDArray[np.uint8]) -> None:
    buffers = [None, pa.py_buffer(np.ascontiguousarray(pixels_NHWC))]
    column = pa.FixedSizeBinaryArray.from_buffers(pa.binary(pixels_NHWC[0].nbytes), len(pixels_NHWC), buffers)
    shape = ",".join(str(length) for length in pixels_NHWC.shape[1:])
    metadata = {"shape": shape, "layout": "HWC RGB"}
    schema = pa.schema([pa.field("pixels", column.type, nullable=False, metadata=metadata)])
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.record_batch([column], schema=schema))


class _Hashing(io.RawIOBase):
    """A stream that is hashed while it is written: a shard is not read again for its digest."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()
        self.num_bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self.digest.update(view)
        self._stream.write(view)
        self.num_bytes += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        return self.num_bytes
