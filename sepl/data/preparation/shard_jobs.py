"""The shards of a dataset from pixels that were decoded: those of a chunk, or of a shard of an earlier run.

Most shards are one such file as it is, which is linked, or copied inside the object store, under its new name. Where
patients have moved to another cohort split, or rows have come or gone, rows are gathered from several files.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sepl.data.dataset.shards import Pixels, Shard, photographs_per_shard, read_pixels, write_pixels
from sepl.data.patients.splits import COHORT_SPLITS
from sepl.errors import StorageError
from sepl.execution.executor import stop_if_asked
from sepl.storage import Location, link_or_copy, resolve


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
    same: Pixels | None
    """The one file that has exactly these rows, if there is one."""

    @property
    def key(self) -> str:
        digest = hashlib.sha256("\n".join([self.cohort_split, str(self.image_size), *self.files]).encode())
        digest.update(self.file_N.tobytes() + self.row_N.tobytes())
        return digest.hexdigest()[:32]


def group_into_shards(
    cohort_splits: NDArray[np.str_], slots: NDArray[np.int64], planned: NDArray[np.str_], image_size: int
) -> list[NDArray[np.int64]]:
    """Which photographs stand together in a shard, in the order of the dataset: by cohort split, then by slot.

    Those that have moved from the cohort split that was planned for them, and from its slots, come last in theirs.
    """
    groups: list[NDArray[np.int64]] = []
    for name in COHORT_SPLITS:
        stayed = np.flatnonzero((cohort_splits == name) & (planned == name))
        stayed = stayed[np.argsort(slots[stayed], kind="stable")]
        groups += np.split(stayed, np.flatnonzero(np.diff(slots[stayed])) + 1) if len(stayed) else []
        groups += _pieces(np.flatnonzero((cohort_splits == name) & (planned != name)), image_size)
    return groups


def plan_shard(
    index: int,
    cohort_split: str,
    files: Sequence[str],
    row_N: NDArray[np.int32],
    image_size: int,
    out: Location,
    work: Location,
    whole_files: Mapping[str, Pixels],
) -> ShardJob:
    """The shard of photographs that lie at rows of files (URIs); `whole_files` are those that could be
    taken as such."""
    numbers: dict[str, int] = {}
    file_N = np.array([numbers.setdefault(file, len(numbers)) for file in files], np.int32)
    same = whole_files.get(files[0]) if len(numbers) == 1 else None
    if same is not None and not np.array_equal(row_N, np.arange(same.num_photographs)):
        same = None
    return ShardJob(index, cohort_split, image_size, tuple(numbers), file_N, row_N, out.uri, work.uri, same)


def assemble_shard(job: ShardJob) -> tuple[int, Shard]:
    """Puts a shard in its place, unless it is there; its index and what it is."""
    pixels = job.same or _gathered(job)
    shard = pixels.as_shard(job.cohort_split)
    _give_name(resolve(pixels.uri), resolve(job.out_uri) / shard.file)
    return job.index, shard


def _pieces(indices: NDArray[np.int64], image_size: int) -> Iterator[NDArray[np.int64]]:
    most = photographs_per_shard(image_size)
    return (indices[start : start + most] for start in range(0, len(indices), most))


def _gathered(job: ShardJob) -> Pixels:
    """The rows in a file of their own, unless a run before has written it."""
    work = resolve(job.work_uri)
    note, place = work / "shards" / f"{job.key}.json", work / "pixels" / f"{job.key}.arrow"
    if note.exists():
        return Pixels(place.uri, **json.loads(note.read_bytes()))
    pixels = write_pixels(place, _gather(job))
    written = {key: value for key, value in asdict(pixels).items() if key != "uri"}
    note.write_bytes(json.dumps(written).encode())
    return pixels


def _gather(job: ShardJob) -> NDArray[np.uint8]:
    pixels_NHWC = np.empty((len(job.row_N), job.image_size, job.image_size, 3), np.uint8)
    for number, file in enumerate(job.files):
        stop_if_asked()
        here = np.flatnonzero(job.file_N == number)
        pixels_MHWC = read_pixels(resolve(file), job.image_size)
        for index, row in zip(here.tolist(), job.row_N[here].tolist(), strict=True):
            pixels_NHWC[index] = pixels_MHWC[row]
    return pixels_NHWC


def _give_name(file: Location, place: Location) -> None:
    """A second name for a file: the first stays, for a run that is killed now and goes on later."""
    if file.uri == place.uri:
        return
    try:
        if place.is_local:
            _link(file.local_path(), place.local_path())
        elif not place.exists():
            place.filesystem.copy_file(file.path, place.path)
    except OSError as problem:
        raise StorageError(f"cannot write {place.uri}: {problem}") from problem


def _link(path: Path, name: Path) -> None:
    if not name.exists():
        link_or_copy(path, name)
