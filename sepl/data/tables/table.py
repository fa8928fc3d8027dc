"""A cohort's tables as hospitals keep them: CSV of any encoding and delimiter, Parquet, XLSX.

Cells become trimmed text; what they mean is read elsewhere. Every complaint names file, column and row.
"""

import csv
import re
import warnings
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sepl.data.tables.encodings import find_encoding
from sepl.data.tables.values import Decimal, as_text
from sepl.data.tables.workbook import read_sheet
from sepl.errors import CohortError

DELIMITERS = (",", ";", "\t", "|")
CSV_SUFFIXES = (".csv", ".tsv", ".txt")
TABLE_SUFFIXES = (*CSV_SUFFIXES, ".parquet", ".xlsx", ".xlsm")

_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_LONGEST_NAME = 200
_MOST_NAME_LINES = 3
_MOST_LINES = 500
"""Lines that tell the delimiter."""
_ROWS_AT_A_TIME = 1 << 16
"""Of a CSV; only the columns that are asked for are kept of them."""


@dataclass(frozen=True)
class Reading:
    """How a table is read; what is None or empty is found."""

    sheet: str | int | None = None
    """Of a workbook: its name, or its number from 1."""
    encoding: str | None = None
    delimiter: str | None = None
    header: int = 1
    """The row that names the columns; what stands above is passed over."""


@dataclass(frozen=True)
class CohortTable:
    """The rows of a cohort's table, wholly blank ones left out."""

    path: Path
    frame: pd.DataFrame
    rows: NDArray[np.int64]
    """Row numbers for people: in a CSV or a sheet as a spreadsheet shows them, in Parquet from 1."""
    twice: frozenset[str] = frozenset()
    """Names that stand over more than one column."""
    decimal: Decimal = "."
    """The decimal sign of a column that does not tell its own."""
    encoding: str = "utf-8"
    others: tuple[str, ...] = ()
    """Names of columns that were not asked for, so not read."""

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(str(name) for name in self.frame.columns)

    def texts(self, column: str) -> "pd.Series":
        """The column as trimmed text; absent cells are empty."""
        return as_text(self.frame[column])

    def check_header(self, wanted: Iterable[str]) -> None:
        """CohortError when none of the wanted columns is there: what was read as header is then none.

        It is not shown, because without a header it is a patient's row.
        """
        if not set(wanted) & set(self.columns):
            raise CohortError(
                f"{self.path}: none of the columns that the cohort file names stands in its header; "
                "say header if that is not its first row"
            )

    def check(self, column: str, where: str) -> None:
        """CohortError, which `where` opens, unless the table has one column of that name."""
        if column not in self.columns:
            known = ", ".join((*self.columns, *self.others))
            raise CohortError(f"{where} should be a column of {self.path} ({known}), was {column!r}")
        if column in self.twice:
            raise CohortError(f"{where} should be one column of {self.path}, {column!r} stands over more than one")

    def place(self, column: str, index: int) -> str:
        return f"{self.path}, column {column!r}, row {self.rows[index]}"

    def select(self, columns: Iterable[str]) -> "CohortTable":
        """With these of its columns alone."""
        wanted = set(columns)
        names = [name for name in self.frame.columns if name in wanted]
        return replace(self, frame=self.frame[names])

    def take(self, chosen: NDArray[Any]) -> "CohortTable":
        """Some of its rows, by a mask or by indices."""
        frame = self.frame.iloc[np.flatnonzero(chosen) if chosen.dtype == bool else chosen].reset_index(drop=True)
        return replace(self, frame=frame, rows=self.rows[chosen])


def read_table(path: Path, reading: Reading | None = None, columns: Collection[str] | None = None) -> CohortTable:
    """The table at `path`. Raises CohortError when it is not there or cannot be read.

    With `columns`, only those of them that it has are kept; of CSV and Parquet, no others are held in memory. Wholly
    blank rows are left out, except of Parquet with `columns`, where the other cells of a row are not known.
    """
    reading = reading or Reading()
    if not path.is_file():
        raise CohortError(f"{path}: no such table")
    suffix = path.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        advice = "; save it as .xlsx" if suffix in (".xls", ".ods") else ""
        raise CohortError(f"{path}: a cohort's table should be .csv, .tsv, .txt, .parquet or .xlsx{advice}")
    try:
        if suffix == ".parquet":
            return _read_parquet(path, columns)
        read = _read_workbook if suffix.startswith(".xls") else _read_csv
        return read(path, reading, columns)
    except CohortError:
        raise
    except (ValueError, OSError, KeyError, LookupError, csv.Error) as problem:
        kind = "csv" if suffix in CSV_SUFFIXES else suffix[1:]
        raise CohortError(f"{path}: cannot be read as {kind}: {_one_line(problem)}") from None


def _read_parquet(path: Path, columns: Collection[str] | None) -> CohortTable:
    """Integers stay whole beside absent cells; whatever way texts are laid out, they are texts."""
    with pq.ParquetFile(path) as file:
        names = _Names(file.schema_arrow.names, columns)
        if columns is None:
            table = file.read()
        else:  # a column of structures is read by its own name, its fields come with it
            table = file.read(columns=[file.schema_arrow.names[place] for place in names.places])
            table = table.select([file.schema_arrow.names[place] for place in names.places])
    fields = [field.with_type(_plain_type(field.type)) for field in table.schema]
    frame = table.cast(pa.schema(fields)).to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
    return _finish(path, _without_blank_rows(frame) if columns is None else frame, 1, names)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return pa.string() if is_text else kind


def _one_line(problem: Exception) -> str:
    return " ".join(str(problem).split())


class _Names:
    """The columns' names, stripped and told apart, and which of them are asked for.

    Raises ValueError for a name that is rather a part of the table.
    """

    def __init__(self, cells: Sequence[object], asked: Collection[str] | None) -> None:
        texts = [str(cell) for cell in cells]
        if any(len(text) > _LONGEST_NAME or text.strip().count("\n") >= _MOST_NAME_LINES for text in texts):
            raise ValueError(
                f"a column's name should have at most {_LONGEST_NAME} characters on {_MOST_NAME_LINES} lines; "
                "a quotation mark may be missing"
            )
        names = [" ".join(text.split()) for text in texts]  # a sheet's may stand on two lines
        self.all = _told_apart(names)
        self.twice = frozenset(name for name in names if names.count(name) > 1)
        self.places = [place for place, name in enumerate(self.all) if asked is None or name in asked]

    def others(self) -> tuple[str, ...]:
        asked = set(self.places)
        return tuple(name for place, name in enumerate(self.all) if place not in asked)


def _finish(path: Path, frame: pd.DataFrame, first_row: int, names: _Names, **found: Any) -> CohortTable:
    """The asked columns (`frame` has these alone, its index counts rows from 0) with their names."""
    rows = frame.index.to_numpy(np.int64) + first_row
    frame = frame.reset_index(drop=True)
    frame.columns = pd.Index([names.all[place] for place in names.places])
    return CohortTable(path, frame, rows, names.twice, others=names.others(), **found)


def _without_blank_rows(frame: pd.DataFrame) -> pd.DataFrame:
    filled = np.zeros(len(frame), bool)
    for place in range(frame.shape[1]):
        blank = np.flatnonzero(~filled)  # the first column leaves few to be looked at in the others
        filled[blank] = (as_text(frame.iloc[blank, place]) != "").to_numpy(bool)
    return frame if filled.all() else frame[filled]


def _told_apart(names: Sequence[str]) -> list[str]:
    seen: dict[str, int] = {}
    told = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        told.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
    return told


def _read_csv(path: Path, reading: Reading, columns: Collection[str] | None) -> CohortTable:
    encoding = reading.encoding or find_encoding(path)
    with path.open(encoding=encoding, newline="") as stream:
        head = [line for line, _ in zip(stream, range(reading.header + _MOST_LINES), strict=False)]
    told = (
        _SEPARATOR_LINE.fullmatch(head[0].strip()) if head else None
    )  # Excel's own first line, which it does not show
    head = head[1:] if told else head
    if not any(line.strip() for line in head):
        raise ValueError("it is empty")
    delimiter = reading.delimiter or (told[1] if told else find_delimiter(head[reading.header - 1 :]))
    cells = next(csv.reader(head[reading.header - 1 :], delimiter=delimiter, strict=True))  # an open quote is an error
    names = _Names(cells, columns)
    skipped = reading.header + (1 if told else 0)
    frame = _read_fields(path, encoding, delimiter, len(cells) + 1, skipped, [*names.places, len(cells)])
    over = (as_text(frame.iloc[:, -1]) != "").to_numpy(bool)  # a delimiter at the end of rows alone is no field
    if over.any():
        raise ValueError(
            f"row {frame.index[int(over.argmax())] + reading.header + 1} has more fields than the header has names"
        )
    decimal: Decimal = "," if delimiter == ";" else "."
    return _finish(path, frame.iloc[:, :-1], reading.header + 1, names, decimal=decimal, encoding=encoding)


def _read_fields(
    path: Path, encoding: str, delimiter: str, num_columns: int, skipped: int, places: Sequence[int]
) -> pd.DataFrame:
    """All rows below the header in the columns of these places, as text: "007" is a patient's id and no number."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            with pd.read_csv(
                path,
                encoding=encoding,
                sep=delimiter,
                header=None,
                names=range(num_columns),
                skiprows=skipped,
                dtype=str,
                na_filter=False,
                skip_blank_lines=False,
                index_col=False,
                chunksize=_ROWS_AT_A_TIME,  # usecols would pass over fields without a name
            ) as pieces:
                return pd.concat([_without_blank_rows(piece)[list(places)] for piece in pieces])
        except pd.errors.EmptyDataError:
            return pd.DataFrame(columns=pd.Index(list(places)), dtype=str)
        except pd.errors.ParserWarning:  # pandas would drop what is over
            raise ValueError("a row has more fields than the header has names") from None


def find_delimiter(lines: Sequence[str]) -> str:
    """The delimiter that parts the header into most fields and the rows below into as many."""

    def score(delimiter: str) -> tuple[float, int]:
        counts = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        if not counts or counts[0] == 1:
            return 0.0, 0
        return sum(count == counts[0] for count in counts) / len(counts), counts[0]

    return max(DELIMITERS, key=score)


def _read_workbook(path: Path, reading: Reading, columns: Collection[str] | None) -> CohortTable:
    title, cells = read_sheet(path, reading.sheet)
    cells = cells[reading.header - 1 :]
    if not cells or not any(cells[0]):
        raise ValueError(f"row {reading.header} of sheet {title!r} should name the columns, is empty")
    width = max(index + 1 for index, name in enumerate(cells[0]) if name)
    _refuse_cells_without_a_name(cells, width)
    names = _Names(cells[0][:width], columns)
    filled = [index for index, row in enumerate(cells[1:]) if any(row)]
    rows = [
        [row[place] if place < len(row) else "" for place in names.places] for row in map(cells[1:].__getitem__, filled)
    ]
    frame = pd.DataFrame(rows, index=pd.Index(filled, dtype=np.int64), columns=range(len(names.places)), dtype=str)
    return _finish(path, frame, reading.header + 1, names)


def _refuse_cells_without_a_name(cells: Sequence[Sequence[str]], width: int) -> None:
    if any(any(row[width:]) for row in cells):
        raise ValueError("a row has more fields than the header has names")
