"""What a run has to decode, cut into chunks: the parts that are done whole or not at all, here or on a cluster.

A chunk is a shard to be: photographs of one cohort split in the order of the table, so that its pixels are written once
and, as a rule, become a shard by taking its name. What is refused leaves the shard smaller.

A photograph is known by its *source*: a digest of its name, frame and eye and of its file's size and time of change. As
long as these stay, what an earlier run found in it still holds, and its pixels are not decoded again.
"""

import hashlib
import json
import posixpath
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyarrow import fs as pafs

from sepl.data.cohort.cohort import Cohort
from sepl.data.dataset.shards import photographs_per_shard
from sepl.data.imaging.photograph import ImageSpec
from sepl.data.imaging.quality import QualityThresholds
from sepl.data.patients.pseudonyms import Pseudonyms
from sepl.data.patients.splits import COHORT_SPLITS
from sepl.errors import StorageError
from sepl.storage import Location

DECODER_VERSION = 2
"""Raised when the same file gives other pixels or measures than before: nothing decoded earlier is then used."""
_LOOKS_AT_A_TIME = 16
"""Files looked at together; a network disk answers many at once."""
_MOST_FOLDERS = 64
"""Folders of an object store listed one by one; above it, everything below the image folder is listed at once."""

Picture = tuple[str, int, str]
"""Image as the table names it, frame, eye."""


@dataclass(frozen=True)
class ChunkJob:
    """Photographs to decode together."""

    key: str
    """Digest of all that decides the result."""
    images_uri: str
    work_uri: str
    spec: ImageSpec
    quality: QualityThresholds
    pictures: tuple[Picture, ...]


def pictures_of(cohort: Cohort) -> list[Picture]:
    return list(zip(cohort.images, cohort.frames.tolist(), cohort.eyes, strict=True))


def find_sources(cohort: Cohort, pictures: Sequence[Picture], pseudonyms: Pseudonyms) -> list[str]:
    """The source of each photograph (N). Keyed, since file names may identify; a file that is absent has one too."""
    stamps = _stamps(cohort.images_folder, list(dict.fromkeys(cohort.images)))
    return [
        pseudonyms.of(_digest([DECODER_VERSION, image, frame, eye, *stamps[image]]), "image")
        for image, frame, eye in pictures
    ]


def slots_of(cohort_splits: NDArray[np.str_], image_size: int) -> NDArray[np.int64]:
    """(N,) the shard that each photograph belongs in: a number that is lower for the earlier of `COHORT_SPLITS`, and
    within for the earlier rows.
    """
    slot_N = np.empty(len(cohort_splits), np.int64)
    most, first = photographs_per_shard(image_size), 0
    for name in COHORT_SPLITS:
        of_split = np.flatnonzero(cohort_splits == name)
        slot_N[of_split] = first + np.arange(len(of_split)) // most
        first += -(-len(of_split) // most)
    return slot_N


def cut_into_chunks(
    cohort: Cohort,
    pictures: Sequence[Picture],
    sources: Sequence[str],
    wanted: NDArray[np.int64],
    slot_N: NDArray[np.int64],
    spec: ImageSpec,
    work: Location,
) -> tuple[list[ChunkJob], list[NDArray[np.int64]]]:
    """The wanted photographs (indices, ascending), a chunk for those of each shard; and which are in which."""
    stated = [spec.model_dump(mode="json"), cohort.quality.model_dump(mode="json")]
    wanted = wanted[np.argsort(slot_N[wanted], kind="stable")]
    members = np.split(wanted, np.flatnonzero(np.diff(slot_N[wanted])) + 1) if len(wanted) else []
    jobs = [
        ChunkJob(
            key=_digest([stated, [sources[index] for index in part.tolist()]]),
            images_uri=cohort.images_folder.uri,
            work_uri=work.uri,
            spec=spec,
            quality=cohort.quality,
            pictures=tuple(pictures[index] for index in part.tolist()),
        )
        for part in members
    ]
    return jobs, members


def place_of(folder: Location, image: str) -> Location:
    """Where the table's `image` lies: below the folder, or anywhere on a local disk when it is an absolute path."""
    if folder.is_local:
        path = folder.local_path() / image
        return Location(folder.filesystem, str(path), str(path))
    return folder / posixpath.normpath(image).lstrip("/")


def _stamps(folder: Location, images: list[str]) -> dict[str, tuple[int, int]]:
    """Size in bytes and time of change in nanoseconds of each file; (−1, 0) where there is none."""
    if folder.is_local:
        with ThreadPoolExecutor(_LOOKS_AT_A_TIME) as pool:
            stamps = pool.map(_local_stamp, [folder.local_path() / image for image in images])
            return dict(zip(images, stamps, strict=True))
    listed = _list_remote(folder, images)
    return {image: listed.get(place_of(folder, image).path, (-1, 0)) for image in images}


def _local_stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return -1, 0
    return found.st_size, found.st_mtime_ns


def _list_remote(folder: Location, images: Sequence[str]) -> dict[str, tuple[int, int]]:
    parents = {posixpath.dirname(place_of(folder, image).path) for image in images}
    if len(parents) <= _MOST_FOLDERS:
        selectors = [pafs.FileSelector(parent, allow_not_found=True) for parent in sorted(parents)]
    else:
        selectors = [pafs.FileSelector(folder.path, allow_not_found=True, recursive=True)]
    stamps: dict[str, tuple[int, int]] = {}
    for selector in selectors:
        try:
            infos = folder.filesystem.get_file_info(selector)
        except OSError as problem:
            raise StorageError(f"cannot list {folder.uri}: {problem}") from problem
        stamps |= {info.path: (info.size or 0, info.mtime_ns or 0) for info in infos if info.is_file}
    return stamps


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]
