"""Which files of a folder may be photographs, by their names."""

import os
import posixpath
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from pyarrow import ArrowException
from pyarrow import fs as pafs

from sepl.errors import StorageError
from sepl.storage import Location

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff")
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")


OTHER_PICTURE_SUFFIXES = frozenset(
    {".bmp", ".gif", ".webp", ".heic", ".heif", ".avif", ".jp2", ".j2k", ".jpx", ".jxl", ".ppm", ".pgm", ".psd", ".raw"}
)
"""Of pictures that are not read; their number is told."""


def files_below(folder: Location) -> list[str]:
    """Paths of all files, at any depth, relative to the folder; each folder once, however many links lead to it.

    A name that is no UTF-8 holds its other bytes as surrogates, as Python's own file names do. Raises StorageError.
    """
    try:
        if folder.is_local:
            return list(_local_files(folder.local_path()))
        infos = folder.filesystem.get_file_info(pafs.FileSelector(folder.path, recursive=True))
    except (OSError, ArrowException) as problem:
        raise StorageError(f"cannot list {folder.uri}: {problem}") from problem
    start = len(folder.path.rstrip("/")) + 1
    return [info.path[start:] for info in infos if info.type == pafs.FileType.File]


def _local_files(root: Path) -> Iterator[str]:
    """Links to folders are followed after all else, so that a file has the name without them."""
    folders, links, seen = deque([""]), deque[str](), set[tuple[int, int]]()
    while folders or links:
        below = folders.pop() if folders else links.pop()
        status = (root / below).stat()
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(root / below) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                name = posixpath.join(below, entry.name)
                if entry.is_dir():
                    (links if entry.is_symlink() else folders).append(name)
                elif entry.is_file():
                    yield name


def suffix_of(name: str) -> str:
    """In small letters, with its point."""
    return posixpath.splitext(name)[1].lower()


def is_other_picture(suffix: str) -> bool:
    """Whether a suffix is of pictures that are not read."""
    return suffix in OTHER_PICTURE_SUFFIXES


def has_dicom_name(name: str) -> bool:
    """Whether a file may be DICOM by its name; many exports give none of its own suffixes."""
    suffix = suffix_of(name)
    return suffix in DICOM_SUFFIXES or suffix not in PICTURE_SUFFIXES


def may_be_photograph(name: str) -> bool:
    """Whether a file of this name is looked at when a folder is."""
    base = posixpath.basename(name)
    suffix = suffix_of(base)
    is_number = suffix[1:].isdecimal()  # DICOM files are often named by their UID alone
    known = suffix in (*PICTURE_SUFFIXES, *DICOM_SUFFIXES, "") or is_number
    return known and not base.startswith(".") and base.upper() != "DICOMDIR"
