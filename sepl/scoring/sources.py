"""Photographs to score: those of a folder, or those a table (CSV or Parquet) names in a column of paths."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.dataset as pads
from numpy.typing import NDArray

from sepl.data.file_names import other_forms, printable
from sepl.data.imaging.files import files_below, may_be_photograph
from sepl.data.tables.spellings import EYES
from sepl.errors import CohortError, ImageError, StorageError
from sepl.scoring.patients import order_by_number
from sepl.scoring.readings import Photograph
from sepl.storage import Location, resolve

ROWS_PER_READ = 4096


class Entry(NamedTuple):
    """A photograph as a folder or a table's row names it."""

    name: str | None
    eye: str = ""
    """As the table writes it; empty where nothing says."""
    patient: str = ""


@dataclass(frozen=True)
class PhotographSource:
    """Photographs that are named, not yet read; iterating once gives each of them, a patient's one after the other."""

    num_photographs: int
    entries: Iterable[Entry]
    root: Location
    """A name is a path below this place, unless it is absolute or a URI of its own."""
    order: NDArray[np.int64] | None = None
    """(N,) the table's row of each photograph; None where they come in the order of the rows."""

    def __iter__(self) -> Iterator[Photograph]:
        return (
            Photograph(
                printable(entry.name or ""), partial(_read, self.root, entry.name), _eye(entry.eye), entry.patient
            )
            for entry in self.entries
        )


def find_photographs(
    uri: str,
    image_column: str = "image",
    images: str | None = None,
    eye_column: str | None = None,
    patient_column: str | None = None,
) -> PhotographSource:
    """The photographs of a folder (JPEG, PNG, TIFF, DICOM, at any depth, by name) or of a table.

    Args:
        uri: a folder, a .csv or a .parquet file. A table is read in pieces, so it may be longer than memory; where a
            patient's rows are not one after the other, names and patients of all rows are in memory.
        image_column: the table's column of paths.
        images: where the table's paths begin; the table's own folder by default.
        eye_column: the table's column that says left or right, in any usual spelling.
        patient_column: the table's column that says whose a photograph is. Spaces around a value do not count; a row
            without a value is a patient of its own.

    Raises:
        CohortError: there is nothing to score, the table cannot be read or lacks a column, or a folder was given with
            what only a table has.
    """
    location = resolve(uri)
    if location.is_folder():
        named = None if image_column == "image" else image_column
        _check_of_folder(uri, image_column=named, images=images, eye_column=eye_column, patient_column=patient_column)
        return _folder_source(location)
    if not location.exists():
        raise CohortError(f"input should be a folder, a .csv or a .parquet file, was {uri} (there is none)")
    root = resolve(images) if images is not None else _parent(location)
    given = {"image": image_column, "eye": eye_column, "patient": patient_column}
    return _table_source(location, {role: column for role, column in given.items() if column is not None}, root)


def _check_of_folder(uri: str, **of_table: str | None) -> None:
    for name, value in of_table.items():
        if value is not None:
            raise CohortError(
                f"{name.replace('_', ' ')} should be given with a table, was {value!r} of the folder {uri}"
            )


def _folder_source(folder: Location) -> PhotographSource:
    names = sorted(name for name in files_below(folder) if may_be_photograph(name))
    if not names:
        raise CohortError(f"{folder.uri}: should hold photographs (JPEG, PNG, TIFF, DICOM), holds none")
    return PhotographSource(len(names), [Entry(name) for name in names], folder)


def _table_source(location: Location, columns: dict[str, str], root: Location) -> PhotographSource:
    with _reporting(location):
        table = pads.dataset(location.path, filesystem=location.filesystem, format=_format_of(location, columns))
        for role, column in columns.items():
            if column not in table.schema.names:
                choices = ", ".join(table.schema.names)
                raise CohortError(f"{location.uri}: {role} column should be one of {choices}, was {column!r}")
        num_photographs = table.count_rows()
        order = _order_by_patient(table, columns["patient"]) if "patient" in columns else None
    if not num_photographs:
        raise CohortError(f"{location.uri}: should name photographs, has no row")
    return PhotographSource(num_photographs, _entries(table, columns, location, order), root, order)


def _format_of(location: Location, columns: dict[str, str]) -> pads.FileFormat:
    if location.name.lower().endswith(".csv"):
        # names such as 0012 are text, whatever they look like
        types = dict.fromkeys(columns.values(), pa.string())
        return pads.CsvFileFormat(convert_options=pacsv.ConvertOptions(column_types=types))
    if location.name.lower().endswith(".parquet"):
        return pads.ParquetFileFormat()
    raise CohortError(f"input should be a folder, a .csv or a .parquet file, was {location.uri}")


def _order_by_patient(table: pads.Dataset, column: str) -> NDArray[np.int64] | None:
    """None when each patient's rows already are one after the other."""
    keys = _patient_keys(table.to_table(columns=[column]).column(0))
    encoded = keys.dictionary_encode().unify_dictionaries()
    chunks = [chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in encoded.chunks]
    patient_N = np.concatenate(chunks or [np.empty(0)]).astype(np.int64)
    if encoded.num_chunks:
        patient_N[patient_N == encoded.chunk(0).dictionary.index("").as_py()] = -1
    order = order_by_number(patient_N)
    return None if (order[1:] > order[:-1]).all() else order


def _entries(
    table: pads.Dataset, columns: dict[str, str], location: Location, order: NDArray[np.int64] | None
) -> Iterator[Entry]:
    names = list(dict.fromkeys(columns.values()))
    with _reporting(location):
        if order is None:
            for batch in table.to_batches(columns=names):
                yield from _entries_of(pa.Table.from_batches([batch]), columns)
            return
        rows = table.to_table(columns=names)
        for start in range(0, len(order), ROWS_PER_READ):
            yield from _entries_of(rows.take(pa.array(order[start : start + ROWS_PER_READ])), columns)


def _entries_of(rows: pa.Table, columns: dict[str, str]) -> Iterator[Entry]:
    names = rows.column(columns["image"]).cast(pa.string()).to_pylist()
    eyes = rows.column(columns["eye"]).cast(pa.string()).to_pylist() if "eye" in columns else [""] * len(names)
    patients = _patient_keys(rows.column(columns["patient"])).to_pylist() if "patient" in columns else [""] * len(names)
    for name, eye, patient in zip(names, eyes, patients, strict=True):
        yield Entry(name, eye or "", patient or "")


def _patient_keys(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.call_function("utf8_trim_whitespace", [column.cast(pa.string())])


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
        for other in other_forms(name):
            if not is_own and (root / other).exists():
                return (root / other).read_bytes()
        raise FileNotFoundError(location.uri) from None
