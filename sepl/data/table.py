"""A cohort's table, CSV or Parquet, and its columns as text or as labels.

Every complaint names file, column and row.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sepl.errors import CohortError
from sepl.tasks import Task

MISSING_SPELLINGS = frozenset({"", "na", "n/a", "nan", "null", "none", "."})
"""What counts as an absent value in a text column, whatever its case."""

Code = str | int | float | bool


@dataclass(frozen=True)
class CohortTable:
    """The rows of a cohort's table, wholly blank ones left out."""

    path: Path
    frame: pd.DataFrame
    rows: NDArray[np.int64]
    """Row numbers for people: in a CSV as a spreadsheet shows them (the header is row 1), in Parquet from 1."""

    def texts(self, column: str) -> tuple[str, ...]:
        """The column as trimmed text; absent values are empty."""
        return tuple(_as_text(self.frame[column]))

    def ids(self, column: str) -> tuple[str, ...]:
        """The column as trimmed text; CohortError for an absent value."""
        text = _as_text(self.frame[column])
        self._refuse(_is_absent(text), column, "filled")
        return tuple(text)

    def numbers(self, column: str, task: Task) -> NDArray[np.float64]:
        """The column as numbers in the task's unit, NaN where absent. CohortError for what is no number or no
        plausible value."""
        text = _as_text(self.frame[column])
        absent = _is_absent(text)
        numbers = pd.to_numeric(text.where(~absent, None), errors="coerce").to_numpy(np.float64)
        low, high = -np.inf if task.low is None else task.low, np.inf if task.high is None else task.high
        wrong = ~absent & ~(np.isfinite(numbers) & (numbers >= low) & (numbers <= high))
        self._refuse(wrong, column, f"a number{_range_of(task)}")
        return numbers

    def codes(self, column: str, positive: Sequence[Code], negative: Sequence[Code] | None) -> NDArray[np.float64]:
        """The column as 1 (one of `positive`) or 0, NaN where absent.

        With `negative` given, a value that is in neither is a CohortError; without, every other value is 0.
        """
        text = _as_text(self.frame[column])
        absent = _is_absent(text)
        keys = text.map({value: _key(value) for value in text.unique()})
        labels = np.asarray(keys.isin([_key(code) for code in positive]), np.float64)
        if negative is not None:
            known = keys.isin([_key(code) for code in (*positive, *negative)]).to_numpy(bool)
            self._refuse(~absent & ~known, column, f"one of {', '.join(str(code) for code in (*positive, *negative))}")
        labels[absent] = np.nan
        return labels

    def place(self, column: str, index: int) -> str:
        return f"{self.path}, column {column!r}, row {self.rows[index]}"

    def _refuse(self, wrong: NDArray[np.bool_], column: str, should: str) -> None:
        if not wrong.any():
            return
        first, others = int(wrong.argmax()), int(wrong.sum()) - 1
        more = f" (and {others} more row{'s' if others > 1 else ''})" if others else ""
        value = str(self.frame[column].iloc[first])
        raise CohortError(f"{self.place(column, first)} should be {should}, was {value!r}{more}")


def read_table(path: Path) -> CohortTable:
    """The table at `path`. Raises CohortError when it is not there or cannot be read."""
    if not path.is_file():
        raise CohortError(f"{path}: no such table")
    readers = {".csv": _read_csv, ".parquet": _read_parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise CohortError(f"{path}: a cohort's table should be .csv or .parquet")
    try:
        frame = reader(path)
    except (ValueError, OSError) as problem:
        raise CohortError(f"{path}: cannot be read as {path.suffix[1:]}: {str(problem).strip()}") from None
    rows = np.arange(len(frame), dtype=np.int64) + (2 if reader is _read_csv else 1)
    filled = np.zeros(len(frame), bool)
    for name in frame.columns:
        filled |= (_as_text(frame[name]) != "").to_numpy(bool)
    return CohortTable(path, frame[filled].reset_index(drop=True), rows[filled])


def _read_csv(path: Path) -> pd.DataFrame:
    # as text: "007" is a patient's id and not a number, and which spellings mean absent is said above
    options = {"dtype": str, "na_filter": False, "skip_blank_lines": False, "index_col": False}
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            return pd.read_csv(path, encoding="utf-8-sig", **options)
        except pd.errors.ParserWarning:  # pandas would drop what is over
            raise ValueError("a row has more fields than the header has names") from None


def _read_parquet(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path, dtype_backend="pyarrow")  # keeps integers whole beside absent values


def _as_text(column: "pd.Series") -> "pd.Series":
    return column.astype("object").where(column.notna(), "").astype(str).str.strip()


def _is_absent(text: "pd.Series") -> NDArray[np.bool_]:
    return text.str.lower().isin(MISSING_SPELLINGS).to_numpy(bool)


def _key(value: Code) -> float | str:
    """What two spellings of one code share: 1, 1.0 and '1' are one; so are 'Male' and 'male'."""
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return float(value)
    except ValueError:
        return str(value).strip().lower()


def _range_of(task: Task) -> str:
    unit = f" {task.unit}" if task.unit else ""
    if task.low is None and task.high is None:
        return f" in{unit}" if unit else ""
    if task.high is None:
        return f" from {task.low:g}{unit}"
    if task.low is None:
        return f" up to {task.high:g}{unit}"
    return f" from {task.low:g} to {task.high:g}{unit}"
