"""The cells of a hospital's table: absent ones, numbers with either decimal sign, censored values, codes.

Every reader takes trimmed text (N,) and tells which cells it could not read; what that means is the caller's to say.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Code = str | int | float | bool
Decimal = Literal[".", ","]

MISSING_SPELLINGS = frozenset(
    {
        "",
        "na",
        "n/a",
        "nan",
        "null",
        "none",
        ".",
        "-",
        "--",
        "?",
    }
)
"""What counts as an absent value in a column, whatever its case, beside the errors of a spreadsheet."""

_SPREADSHEET_ERROR = re.compile(r"#[¡¿]?[^\W\d_/ ]+(?:/[^\W_]+)?[!?]|#(?:n/?a|n/?d|nv|getting_data)(?: n/a)?|err:\d+")
"""Excel's and LibreOffice's, in the languages that they speak: #NUM!, #¡DIV/0!, #NOM?, #NV, Err:502."""

_NUMBER = re.compile(r"(?P<bound>[<>≤≥]=?)?\s*(?P<number>[+-]?(?:\d[\d.,]*|[.,]\d+)(?:[eE][+-]?\d+)?)")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:[.,]\d{3})+")
_GROUP_GAP = re.compile(r"(?<=\d)[\s'’](?=\d{3}(?:\D|$))")
_FEET = re.compile(
    r"(?P<feet>\d)\s*(?:'|’|′|ft\.?|feet)\s*(?P<inches>\d{1,2}(?:[.,]\d+)?)?\s*(?:\"|”|″|''|in\.?|inches)?"
)


@dataclass(frozen=True)
class Numbers:
    """A column as numbers (N,); NaN where absent or not a number."""

    values: NDArray[np.float64]
    wrong: NDArray[np.bool_]
    """Filled with something that is no number."""
    censored: NDArray[np.bool_]
    """Written as "<0.5" or ">14"; the value is the limit itself."""


def as_text(column: "pd.Series") -> "pd.Series":
    """The column as trimmed text; absent cells, NaN among them in whatever type, are empty."""
    if isinstance(column.dtype, pd.StringDtype):  # a CSV's: no Python object a cell
        return column.fillna("").str.strip()
    cells = column.astype("object")  # before it is asked: Arrow takes NaN for a value, and so do its dictionaries
    return cells.where(cells.notna(), "").astype(str).str.strip()


def is_absent(text: "pd.Series", missing: Sequence[Code] = ()) -> NDArray[np.bool_]:
    """Where a cell is empty, spelled as absent, or one of the codes declared missing (−9, 999 …)."""
    declared = {key_of(code) for code in missing}

    def says_nothing(cell: str) -> bool:
        lower = cell.lower()
        is_error = _SPREADSHEET_ERROR.fullmatch(lower) is not None
        return lower in MISSING_SPELLINGS or is_error or key_of(cell) in declared

    return each(text, says_nothing, np.bool_)


def shared_texts(text: "pd.Series", missing: Sequence[Code] = ()) -> NDArray[np.object_]:
    """The column's texts (N,), '' where absent; equal ones are one object, which two million rows feel."""
    texts = each(text, str, np.object_)
    texts[is_absent(text, missing)] = ""
    return texts


def numbers_of(codes: Sequence[Code]) -> list[float]:
    """The numbers among the codes."""
    return [key for key in map(key_of, codes) if isinstance(key, float)]


def key_of(value: Code) -> float | str:
    """What two spellings of one code share: 1, 1.0 and '1' are one; so are 'Male' and 'male'."""
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return float(value)
    except ValueError:
        return str(value).strip().lower()


def read_numbers(
    text: "pd.Series",
    decimal: Decimal | None = None,
    missing: Sequence[Code] = (),
    *,
    fallback: Decimal = ".",
    feet: bool = False,
) -> Numbers:
    """The column as numbers.

    Args:
        text: trimmed cells.
        decimal: the sign before the decimals. It decides only what can be read both ways, such as "1,234"; None lets
            the other cells of the column decide.
        missing: codes that stand for an absent value.
        fallback: the decimal sign where no cell tells.
        feet: heights such as 5'11" are read, in inches.
    """
    absent = is_absent(text, missing)
    sign: Decimal = decimal or _decimal_of(text.unique(), fallback)
    pairs = {cell: _parse(cell, sign, feet) for cell in text.unique()}
    values = each(text, lambda cell: pairs[cell][0], np.float64)
    absent |= np.isin(values, numbers_of(missing))  # "-9,0" is −9 too
    values[absent] = np.nan
    censored = each(text, lambda cell: pairs[cell][1], np.bool_) & ~absent
    return Numbers(values, ~absent & ~np.isfinite(values), censored & np.isfinite(values))


def is_undecided(text: "pd.Series", missing: Sequence[Code] = ()) -> bool:
    """Whether 1.234 may be a thousand or one and a bit: every number with a sign in it could be read both ways.

    Not where whole numbers stand beside them: a column of thousands has hundreds too, one of decimals has decimals.
    """
    cells = text[~is_absent(text, missing)].unique()
    numbers = [match["number"] for cell in cells if (match := _NUMBER.fullmatch(_plain(str(cell))))]
    signed = [number for number in numbers if "." in number or "," in number]
    return bool(signed) and len(signed) == len(numbers) and all(_decimal_sign(number) is None for number in signed)


def read_codes(
    text: "pd.Series", positive: Sequence[Code], negative: Sequence[Code] | None, missing: Sequence[Code] = ()
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """1 for a cell of `positive`, 0 for one of `negative` (None: any other), NaN where absent; and what is wrong."""
    ones = {key_of(code) for code in positive}
    zeros = None if negative is None else {key_of(code) for code in negative}

    def label(cell: str) -> float:
        key = key_of(cell)
        return 1.0 if key in ones else 0.0 if zeros is None or key in zeros else np.nan

    labels = each(text, label, np.float64)
    absent = is_absent(text, missing)
    labels[absent] = np.nan
    return labels, np.isnan(labels) & ~absent


def each(text: "pd.Series", function: Callable[[str], Any], dtype: Any) -> NDArray[Any]:
    """`function` of each cell (N,), called once for each different one."""
    codes, cells = pd.factorize(text)
    assert (codes >= 0).all()  # an absent cell would take the value of the last one
    values = np.empty(len(cells), dtype)
    for index, cell in enumerate(cells):
        values[index] = function(str(cell))
    return values[codes] if len(cells) else np.empty(0, dtype)


def _plain(cell: str) -> str:
    cell = cell.replace("−", "-").replace("\u00a0", " ").replace("\u202f", " ").strip()
    return _GROUP_GAP.sub("", cell)


def _parse(cell: str, decimal: Decimal, feet: bool) -> tuple[float, bool]:
    """Value (NaN when it is none) and whether it is censored."""
    if feet and (match := _FEET.fullmatch(cell.strip().lower())):
        return 12.0 * float(match["feet"]) + float((match["inches"] or "0").replace(",", ".")), False
    match = _NUMBER.fullmatch(_plain(cell))
    if not match:
        return np.nan, False
    value = _value(match["number"], decimal)
    return value, match["bound"] is not None and np.isfinite(value)


def _value(number: str, decimal: Decimal) -> float:
    sign = _decimal_sign(number) or decimal
    thousands = "," if sign == "." else "."
    mantissa = re.split("[eE]", number)[0]
    whole, _, decimals = mantissa.partition(sign)
    if thousands in decimals or sign in decimals or (thousands in whole and not _THOUSANDS.fullmatch(whole)):
        return np.nan
    return float(number.replace(thousands, "").replace(sign, "."))


def _decimal_sign(number: str) -> Decimal | None:
    """The decimal sign of one number, None where it has none or could be read both ways ("1,234")."""
    mantissa = re.split("[eE]", number)[0]
    points, commas = mantissa.count("."), mantissa.count(",")
    if points and commas:
        return "," if mantissa.rindex(",") > mantissa.rindex(".") else "."
    if points + commas == 0:
        return None
    if points + commas > 1:
        return "," if points else "."  # what stands twice parts thousands
    if _THOUSANDS.fullmatch(mantissa) and not mantissa.lstrip("+-").startswith("0"):
        return None
    return "." if points else ","


def _decimal_of(cells: Sequence[str], fallback: Decimal) -> Decimal:
    """The sign of most cells that can be read in one way only."""
    matches = [_NUMBER.fullmatch(_plain(str(cell))) for cell in cells]
    signs = [_decimal_sign(match["number"]) for match in matches if match]
    points, commas = signs.count("."), signs.count(",")
    if points == commas:
        return fallback
    return "," if commas > points else "."
