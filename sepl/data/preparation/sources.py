"""The photographs of a cohort as files that may change: where each lies, and what tells that it is still the same.

A photograph is known by its *source*: a digest of its name, frame and eye and of its file's size and time of change. As
long as these stay, what an earlier run found in it still holds, and its pixels are not decoded again.
"""

import hashlib
import json
import posixpath
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pyarrow import fs as pafs

from sepl.data.cohort.cohort import Cohort
from sepl.data.patients.pseudonyms import Pseudonyms
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


def pictures_of(cohort: Cohort) -> list[Picture]:
    return list(zip(cohort.images, cohort.frames.tolist(), cohort.eyes, strict=True))


def find_sources(cohort: Cohort, pictures: Sequence[Picture], pseudonyms: Pseudonyms) -> list[str]:
    """The source of each photograph (N). Keyed, since file names may identify; a file that is absent has one too."""
    stamps = _stamps(cohort.images_folder, list(dict.fromkeys(cohort.images)))
    return [
        pseudonyms.of(digest_of([DECODER_VERSION, image, frame, eye, *stamps[image]]), "image")
        for image, frame, eye in pictures
    ]


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
        status = path.stat()
    except (OSError, ValueError):
        return -1, 0
    return status.st_size, status.st_mtime_ns


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


def digest_of(content: object) -> str:
    """32 hexadecimal digits of something that JSON can say."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]
