"""Photographs to score: those of a folder, or those a table (CSV or Parquet) names in a column of paths."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.dataset as pads

from sepl.data.files import files_below, may_be_photograph
from sepl.data.spellings import EYES
from sepl.errors import CohortError, ImageError, StorageError
from sepl.scoring.scorer import Photograph
from sepl.storage import Location, resolve


@dataclass(frozen=True)
class PhotographSource:
    """Photographs that are named, not yet read; iterating once gives each of them, in order."""

    num_photographs: int
    entries: Iterable[tuple[str | None, str]]
    """Name, and which eye it is as the table writes it; empty where nothing says."""
    root: Location
    """A name is a path below this place, unless it is absolute or a URI of its own."""

    def __iter__(self) -> Iterator[Photograph]:
        return (Photograph(name or "", partial(_read, self.root, name), _eye(text)) for name, text in self.entries)


def find_photographs(
    uri: str, image_column: str = "image", images: str | None = None, eye_column: str | None = None
) -> PhotographSource:
    """The photographs of a folder (JPEG, PNG, TIFF, DICOM, at any depth, by name) or of a table.

    Args:
        uri: a folder, a .csv or a .parquet file. A table is read in pieces, so it may be longer than memory.
        image_column: the table's column of paths.
        images: where the table's paths begin; the table's own folder by default.
        eye_column: the table's column that says left or right, in any usual spelling.

    Raises:
        CohortError: there is nothing to score, or the table cannot be read or lacks a column.
    """
    location = resolve(uri)
    if location.is_folder():
        return _folder_source(location)
    if not location.exists():
        raise CohortError(f"input should be a folder, a .csv or a .parquet file, was {uri} (there is none)")
    root = resolve(images) if images is not None else _parent(location)
    columns = [image_column, *([eye_column] if eye_column is not None else [])]
    return _table_source(location, columns, root)


def _folder_source(folder: Location) -> PhotographSource:
    names = sorted(name for name in files_below(folder) if may_be_photograph(name))
    if not names:
        raise CohortError(f"{folder.uri}: should hold photographs (JPEG, PNG, TIFF, DICOM), holds none")
    return PhotographSource(len(names), [(name, "") for name in names], folder)


def _table_source(location: Location, columns: list[str], root: Location) -> PhotographSource:
    with _reporting(location):
        table = pads.dataset(location.path, filesystem=location.filesystem, format=_format_of(location, columns))
        for role, column in zip(("image", "eye"), columns, strict=False):
            if column not in table.schema.names:
                choices = ", ".join(table.schema.names)
                raise CohortError(f"{location.uri}: {role} column should be one of {choices}, was {column!r}")
        num_photographs = table.count_rows()
    if not num_photographs:
        raise CohortError(f"{location.uri}: should name photographs, has no row")
    return PhotographSource(num_photographs, _entries(table, columns, location), root)


def _format_of(location: Location, columns: list[str]) -> pads.FileFormat:
    if location.name.lower().endswith(".csv"):
        # names such as 0012 are text, whatever they look like
        types = dict.fromkeys(columns, pa.string())
        return pads.CsvFileFormat(convert_options=pacsv.ConvertOptions(column_types=types))
    if location.name.lower().endswith(".parquet"):
        return pads.ParquetFileFormat()
    raise CohortError(f"input should be a folder, a .csv or a .parquet file, was {location.uri}")


def _entries(table: pads.Dataset, columns: list[str], location: Location) -> Iterator[tuple[str | None, str]]:
    with _reporting(location):
        for batch in table.to_batches(columns=columns):
            names = batch.column(0).cast(pa.string()).to_pylist()
            eyes = batch.column(1).cast(pa.string()).to_pylist() if len(columns) > 1 else [""] * len(names)
            yield from ((name, eye or "") for name, eye in zip(names, eyes, strict=True))


def _eye(text: str) -> str:
    return EYES.get(text.strip().lower(), "")


@contextmanager
def _reporting(location: Location) -> Iterator[None]:
    try:
        yield
    except CohortError:
        raise
    except (OSError, pa.ArrowException) as problem:
        raise CohortError(f"{location.uri}: cannot be read as a table: {problem}") from problem


def _parent(location: Location) -> Location:
    address, question, query = location.uri.partition("?")
    parent = str(PurePosixPath(location.path).parent)
    return Location(location.filesystem, parent, f"{address.rpartition('/')[0]}{question}{query}")


def _read(root: Location, name: str | None) -> bytes:
    if not name:
        raise ImageError("the table names no file in this row")
    is_own = name.startswith("/") or "://" in name
    location = resolve(name) if is_own else root / name
    try:
        return location.read_bytes()
    except StorageError:
        if location.exists():
            raise
        raise FileNotFoundError(location.uri) from None
