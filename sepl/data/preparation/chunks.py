"""Decoding a chunk: its pixels in one Arrow file, its facts in another that is written last.

Both are named by the chunk's key, so that a chunk that is there needs no doing, whoever did it and whenever.
"""

import json
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sepl.data.dataset.shards import Pixels, write_pixels
from sepl.data.imaging.photograph import Photograph, examine_photograph
from sepl.data.imaging.quality import judge
from sepl.data.imaging.reasons import NOT_FOUND, NOT_OPENED, Refusal
from sepl.data.preparation.chunk_plan import ChunkJob
from sepl.data.preparation.facts import fact_of_error, fact_of_picture, fact_of_refusal, facts_table
from sepl.data.preparation.sources import Picture, place_of
from sepl.data.preparation.thumbnails import FewOfEach, encode_thumbnail
from sepl.errors import ImageError, StorageError
from sepl.execution.executor import stop_if_asked
from sepl.storage import Location, resolve

_REFUSES_ALWAYS = (PermissionError, IsADirectoryError, NotADirectoryError, ValueError)
_TRIES = 3


def decode_chunk(job: ChunkJob) -> int:
    """Decodes what is not decoded yet; the number of photographs of the chunk.

    A photograph that cannot be decoded is a fact. Raises StorageError when the storage fails, which is no fact about
    a photograph.
    """
    work = resolve(job.work_uri)
    if not is_decoded(work, job.key):
        reader = _Reader(resolve(job.images_uri))
        pixels_NHWC = np.empty((len(job.pictures), job.spec.size, job.spec.size, 3), np.uint8)
        facts, num_kept, shown, file = [], 0, FewOfEach(), _pixels_place(work, job.key).uri
        for picture in job.pictures:
            stop_if_asked()
            seen = _examine(reader, picture, job)
            if isinstance(seen, Refusal):
                facts.append(fact_of_error(seen))
            elif refusal := judge(seen.quality, job.quality):
                thumbnail = encode_thumbnail(seen.pixels_HWC) if shown.takes(refusal) else None
                facts.append(fact_of_refusal(seen, refusal, thumbnail))
            else:
                pixels_NHWC[num_kept] = seen.pixels_HWC
                facts.append(fact_of_picture(seen, file, num_kept))
                num_kept += 1
        _write(work, job.key, pixels_NHWC[:num_kept], facts_table(facts))
    return len(job.pictures)


def is_decoded(work: Location, key: str) -> bool:
    return _facts_place(work, key).exists()


def decoded_keys(work: Location) -> frozenset[str]:
    """Of all chunks that are done."""
    return frozenset(place.name.removesuffix(".parquet") for place in (work / "chunks").list_folder())


def read_chunk(work: Location, key: str) -> tuple[pa.Table, Pixels | None]:
    """The facts of a chunk that is done, and its pixels unless all of it was refused."""
    with pq.ParquetFile(pa.BufferReader(_facts_place(work, key).read_bytes())) as file:
        table = file.read()
    notes = json.loads(table.schema.metadata[b"pixels"])
    return table, Pixels(_pixels_place(work, key).uri, **notes) if notes else None


def _pixels_place(work: Location, key: str) -> Location:
    return work / "pixels" / f"{key}.arrow"


def _facts_place(work: Location, key: str) -> Location:
    return work / "chunks" / f"{key}.parquet"


def _write(work: Location, key: str, pixels_NHWC: NDArray[np.uint8], facts: pa.Table) -> None:
    notes = {}
    if len(pixels_NHWC):
        notes = asdict(write_pixels(_pixels_place(work, key), pixels_NHWC))
        del notes["uri"]
    sink = pa.BufferOutputStream()
    pq.write_table(facts.replace_schema_metadata({"pixels": json.dumps(notes)}), sink)
    _facts_place(work, key).write_bytes(sink.getvalue().to_pybytes())


def _examine(reader: "_Reader", picture: Picture, job: ChunkJob) -> Photograph | Refusal:
    """The photograph, or why there is none."""
    image, frame, eye = picture
    try:
        return examine_photograph(reader.read(image), job.spec, frame=frame, eye=eye)
    except ImageError as problem:
        return Refusal.of(problem)


@dataclass
class _Reader:
    """Reads files of the image folder; the frames of one file follow each other, so the last one is kept."""

    folder: Location
    _image: str = ""
    _content: bytes = b""

    def read(self, image: str) -> bytes:
        """The bytes of a file. Raises ImageError, which never says its name, StorageError when the storage fails."""
        if image != self._image:
            self._content = self._fetch(image)
            self._image = image
        return self._content

    def _fetch(self, image: str) -> bytes:
        place = place_of(self.folder, image)
        for attempt in range(1, _TRIES + 1):
            try:
                return _read_local(place) if place.is_local else _read_remote(place)
            except FileNotFoundError:
                raise ImageError(NOT_FOUND) from None
            except _REFUSES_ALWAYS as problem:
                raise ImageError(NOT_OPENED, _said(problem)) from None
            except OSError as problem:
                if attempt == _TRIES:
                    raise StorageError(f"{self.folder.uri}: a photograph cannot be read: {_said(problem)}") from None
        raise AssertionError("unreachable")


def _read_local(place: Location) -> bytes:
    return place.local_path().read_bytes()


def _read_remote(place: Location) -> bytes:
    with place.filesystem.open_input_stream(place.path) as stream:
        return stream.read()


def _said(problem: Exception) -> str:
    """What the system said, without the name of the file."""
    return problem.strerror or type(problem).__name__ if isinstance(problem, OSError) else type(problem).__name__
