"""Shards from pixels that lie in chunks or in the shards of an earlier run: copied row by row, never decoded again.

Each shard is a job of its own, done here or on a cluster. In an object store a job fetches whole the files that it
takes rows from, so that a chunk travels once for each cohort split.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sepl.data.parallel import stop_if_asked
from sepl.data.shards import Shard, photographs_per_shard, read_pixels, write_shard
from sepl.data.splits import COHORT_SPLITS
from sepl.errors import DatasetError
from sepl.storage import resolve


@dataclass(frozen=True, eq=False)
class ShardJob:
    """One shard to write: rows of files, in their order."""

    index: int
    cohort_split: str
    image_size: int
    files: tuple[str, ...]
    """URIs."""
    file_N: NDArray[np.int32]
    """Index into `files` of each photograph."""
    row_N: NDArray[np.int32]
    out_uri: str
    work_uri: str

    @property
    def key(self) -> str:
        digest = hashlib.sha256("\n".join([self.cohort_split, str(self.image_size), *self.files]).encode())
        digest.update(self.file_N.tobytes() + self.row_N.tobytes())
        return digest.hexdigest()[:32]

    def stands_as(self, standing: Mapping[str, Shard]) -> Shard | None:
        """The shard that is this very one, if it is among these, by URI."""
        shard = standing.get(self.files[0]) if len(self.files) == 1 else None
        if shard is None or shard.cohort_split != self.cohort_split:
            return None
        return shard if np.array_equal(self.row_N, np.arange(shard.num_photographs)) else None


def plan_shards(
    cohort_splits: NDArray[np.str_], files: Sequence[str], rows: NDArray[np.int32], image_size: int, out: str, work: str
) -> tuple[list[ShardJob], list[NDArray[np.int64]]]:
    """The shards of photographs (N) that lie at `rows` of `files`, and which photographs stand in each.

    Cohort splits in the order of `COHORT_SPLITS`, photographs in their own order within.
    """
    size = photographs_per_shard(image_size)
    jobs, members = [], []
    for name in COHORT_SPLITS:
        of_split = np.flatnonzero(cohort_splits == name)
        for part in (of_split[start : start + size] for start in range(0, len(of_split), size)):
            numbers: dict[str, int] = {}
            file_N = np.array([numbers.setdefault(files[int(index)], len(numbers)) for index in part], np.int32)
            jobs.append(ShardJob(len(jobs), name, image_size, tuple(numbers), file_N, rows[part], out, work))
            members.append(part)
    return jobs, members


def assemble_shard(job: ShardJob) -> tuple[int, Shard]:
    """Writes a shard that is not written yet; its index and what was written."""
    out, note = resolve(job.out_uri), resolve(job.work_uri) / "shards" / f"{job.key}.json"
    if note.exists():
        shard = Shard.parse_json(note.read_bytes(), note.uri, DatasetError)
        if (out / shard.file).exists():
            return job.index, shard
    shard = write_shard(out, job.cohort_split, _gather(job))
    note.write_bytes(shard.model_dump_json().encode())
    return job.index, shard


def _gather(job: ShardJob) -> NDArray[np.uint8]:
    pixels_NHWC = np.empty((len(job.row_N), job.image_size, job.image_size, 3), np.uint8)
    for number, file in enumerate(job.files):
        stop_if_asked()
        here = np.flatnonzero(job.file_N == number)
        pixels_MHWC = read_pixels(resolve(file), job.image_size)
        for index, row in zip(here.tolist(), job.row_N[here].tolist(), strict=True):
            pixels_NHWC[index] = pixels_MHWC[row]
    return pixels_NHWC
