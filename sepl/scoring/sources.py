"""Photographs to score: those of a folder, or those a table names in a column of paths.

Tables, spellings of eyes and absent cells are read as they are in preparation, so what prepares also scores.
"""

import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow.fs import LocalFileSystem, copy_files

from sepl.data.file_names import other_forms, printable
from sepl.data.imaging.files import files_below, may_be_photograph
from sepl.data.patients.ids import IdOptions, check_not_rounded
from sepl.data.tables.spellings import read_eyes
from sepl.data.tables.table import TABLE_SUFFIXES, CohortTable, Reading, read_table
from sepl.data.tables.values import is_absent, shared_texts
from sepl.errors import CohortError, ImageError, StorageError
from sepl.scoring.patients import order_by_patient
from sepl.scoring.readings import Photograph
from sepl.storage import Location, resolve

_log = logging.getLogger(__name__)
_KINDS = f"a folder or a table ({', '.join(TABLE_SUFFIXES)})"


_NOTHING: Mapping[str, float] = MappingProxyType({})


class Entry(NamedTuple):
    """A photograph as a folder or a table's row names it."""

    name: str | None
    eye: str = ""
    """"left" or "right"; empty where nothing says."""
    patient: str = ""
    known: Mapping[str, float] = _NOTHING


class KnownReader(Protocol):
    """What reads known values from columns of the table, as `sepl.data.cohort.known.KnownColumns` does."""

    @property
    def tasks(self) -> tuple[str, ...]: ...
    @property
    def columns(self) -> tuple[str, ...]: ...
    def check(self, table: CohortTable) -> None: ...
    def read(self, table: CohortTable) -> NDArray[np.float64]: ...


@dataclass(frozen=True)
class PhotographSource:
    """Photographs that are named, not yet read; iterating once gives each of them, a patient's one after the other."""

    num_photographs: int
    entries: Iterable[Entry]
    root: Location
    """A name is a path below this place, unless it is absolute or a URI of its own."""
    order: NDArray[np.int64] | None = None
    """(N,) the table's row of each photograph; None where they come in the order of the rows."""
    from_header: tuple[str, ...] = ()
    """Of age and sex, what DICOM headers are asked for."""

    def __iter__(self) -> Iterator[Photograph]:
        return (
            Photograph(
                printable(entry.name or ""),
                partial(read_file, self.root, entry.name),
                entry.eye,
                entry.patient,
                entry.known,
                self.from_header,
            )
            for entry in self.entries
        )


def find_photographs(
    uri: str,
    image_column: str = "image",
    images: str | None = None,
    eye_column: str | None = None,
    patient_column: str | None = None,
    reading: Reading | None = None,
    ids: IdOptions | None = None,
    known: KnownReader | None = None,
) -> PhotographSource:
    """The photographs of a folder (JPEG, PNG, TIFF, DICOM, at any depth, by name) or of a table.

    Args:
        uri: a folder, or a table: CSV (.csv, .tsv, .txt) of any encoding and delimiter, .parquet, .xlsx. Of a table the
            columns named here are in memory for all rows, never pixels; a workbook is in memory whole while it is read,
            and a remote table is a temporary file meanwhile.
        image_column: the table's column of paths.
        images: where the table's paths begin; the table's own folder by default.
        eye_column: the table's column that says left or right, in any usual spelling; a warning tells how many filled
            cells say neither.
        patient_column: the table's column that says whose a photograph is. Spaces around a value do not count; a row
            without a value, however that is spelled (NA, NaN, -), is a patient of its own.
        known: reads what is known of the patients from columns of the table.
        reading: sheet, encoding, delimiter and header of the table, where they are found wrongly.
        ids: what does not tell patients apart, as `[ids]` of a cohort file says it; rows have one spelling of each.

    Raises:
        CohortError: there is nothing to score, the table cannot be read or lacks a column, ids of its patients lost
            digits in scientific notation, a folder was given with what only a table has, or `ids` without a column of
            patients.
    """
    if ids is not None and patient_column is None:
        _check_no_ids(ids)
    location = resolve(uri)
    if location.is_folder():
        named = None if image_column == "image" else image_column
        _check_of_folder(uri, image_column=named, images=images, eye_column=eye_column, patient_column=patient_column)
        _check_of_folder(uri, known_column=", ".join(known.columns) if known else None)
        _check_of_folder(uri, **{name: value for name, value in vars(reading or Reading()).items() if value != 1})
        return _folder_source(location)
    if not location.exists():
        raise CohortError(f"input should be {_KINDS}, was {uri} (there is none)")
    if not location.name.lower().endswith(TABLE_SUFFIXES):
        raise CohortError(f"input should be {_KINDS}, was {uri}")
    root = resolve(images) if images is not None else _parent(location)
    given = {"image": image_column, "eye": eye_column, "patient": patient_column}
    columns = {role: column for role, column in given.items() if column is not None}
    return _table_source(location, columns, root, reading or Reading(), ids or IdOptions(), known)


def _check_no_ids(ids: IdOptions) -> None:
    for name, value in ids:
        if value:
            raise CohortError(f"{name} should be given with a patient column, was given without")


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


def _table_source(
    location: Location,
    columns: dict[str, str],
    root: Location,
    reading: Reading,
    ids: IdOptions,
    known: KnownReader | None,
) -> PhotographSource:
    table = _read_columns(location, columns, reading, known)
    if not len(table.rows):
        raise CohortError(f"{location.uri}: should name photographs, has no row")
    names = _names(table, columns["image"])
    eyes = _eyes(table, columns["eye"], location) if "eye" in columns else None
    patients = _patients(table, columns["patient"], location, ids) if "patient" in columns else None
    order = None if patients is None else _order_by_patient(patients)
    cells = _Known(known.tasks, known.read(table)) if known else None
    return PhotographSource(len(names), _Entries(names, eyes, patients, order, cells), root, order)


def _read_columns(
    location: Location, columns: dict[str, str], reading: Reading, known: KnownReader | None
) -> CohortTable:
    with _local_copy(location) as path:
        try:
            table = read_table(path, reading, {*columns.values(), *(known.columns if known else ())})
            for role, column in columns.items():
                table.check(column, f"{path}: {role} column")
            if known:
                known.check(table)
        except CohortError as problem:
            raise CohortError(str(problem).replace(str(path), location.uri)) from None
    return table


@contextmanager
def _local_copy(location: Location) -> Iterator[Path]:
    """The file itself where it is local, else a copy that goes when the block ends."""
    if location.is_local:
        yield location.local_path()
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / location.name
        try:
            copy_files(location.path, str(path), location.filesystem, LocalFileSystem())
        except (OSError, pa.ArrowException) as problem:
            raise StorageError(f"cannot read {location.uri}: {problem}") from problem
        yield path


def _names(table: CohortTable, column: str) -> NDArray[np.object_]:
    texts = table.texts(column)
    names = texts.to_numpy(object, copy=True)
    names[is_absent(texts)] = ""
    return names


def _eyes(table: CohortTable, column: str, location: Location) -> NDArray[np.object_]:
    eyes, wrong = read_eyes(table.texts(column))
    if wrong.any():
        _log.warning(
            "%s, column %r: no eye is known of %d of %d rows, which hold neither left nor right (the first is row %d)",
            *(location.uri, column, wrong.sum(), len(wrong), table.rows[wrong.argmax()]),
        )
    return eyes


def _patients(table: CohortTable, column: str, location: Location, ids: IdOptions) -> NDArray[np.object_]:
    patients = shared_texts(table.texts(column))
    check_not_rounded(patients, f"{location.uri}, column {column!r}", table.rows)
    return ids.fold_all(patients)


def _order_by_patient(patients: NDArray[np.object_]) -> NDArray[np.int64] | None:
    """None when each patient's rows already are one after the other."""
    order = order_by_patient(patients.tolist())
    return None if (order[1:] > order[:-1]).all() else order


@dataclass(frozen=True, eq=False)
class _Known:
    tasks: tuple[str, ...]
    values_NK: NDArray[np.float64]
    """NaN where nothing is known."""

    def row(self, index: int) -> Mapping[str, float]:
        pairs = zip(self.tasks, self.values_NK[index].tolist(), strict=True)
        return {task: value for task, value in pairs if not math.isnan(value)}


@dataclass(frozen=True)
class _Entries:
    """The rows of a table as photographs, in `order` where there is one; each an array (N,) of texts or None."""

    names: NDArray[np.object_]
    eyes: NDArray[np.object_] | None
    patients: NDArray[np.object_] | None
    order: NDArray[np.int64] | None
    known: _Known | None = None

    def __iter__(self) -> Iterator[Entry]:
        for row in range(len(self.names)) if self.order is None else self.order:
            eye = "" if self.eyes is None else self.eyes[row]
            patient = "" if self.patients is None else self.patients[row]
            known = _NOTHING if self.known is None else self.known.row(row)
            yield Entry(self.names[row] or None, eye, patient, known)


def _parent(location: Location) -> Location:
    address, question, query = location.uri.partition("?")
    parent = str(PurePosixPath(location.path).parent)
    return Location(location.filesystem, parent, f"{address.rpartition('/')[0]}{question}{query}")


def read_file(root: Location, name: str | None) -> bytes:
    """The bytes of the file that a row names: below `root`, or by an absolute path or a URI."""
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
