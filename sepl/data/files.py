"""Which files of a folder may be photographs, by their names."""

import posixpath

from pyarrow import ArrowException
from pyarrow import fs as pafs

from sepl.errors import StorageError
from sepl.storage import Location

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".png", ".tif", ".tiff")
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")


def files_below(folder: Location) -> list[str]:
    """Paths of all files, at any depth, relative to the folder. Raises StorageError."""
    try:
        infos = folder.filesystem.get_file_info(pafs.FileSelector(folder.path, recursive=True))
    except (OSError, ArrowException) as problem:
        raise StorageError(f"cannot list {folder.uri}: {problem}") from problem
    start = len(folder.path.rstrip("/")) + 1
    return [info.path[start:] for info in infos if info.type == pafs.FileType.File]


def has_dicom_name(name: str) -> bool:
    """Whether a file may be DICOM by its name; many exports give none of its own suffixes."""
    suffix = posixpath.splitext(name)[1].lower()
    return suffix in DICOM_SUFFIXES or suffix not in PICTURE_SUFFIXES


def may_be_photograph(name: str) -> bool:
    """Whether a file of this name is looked at when a folder is."""
    base = posixpath.basename(name)
    suffix = posixpath.splitext(base)[1].lower()
    is_number = suffix[1:].isdecimal()  # DICOM files are often named by their UID alone
    known = suffix in (*PICTURE_SUFFIXES, *DICOM_SUFFIXES, "") or is_number
    return known and not base.startswith(".") and base.upper() != "DICOMDIR"
