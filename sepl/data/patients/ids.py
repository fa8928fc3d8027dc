"""Ids of patients: which are probably one although they are spelled differently, and how they are brought together.

Different ids are different patients unless `[ids]` of the cohort file says what does not count: then every table, path
and header is read so.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from unicodedata import category, normalize

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sepl.errors import CohortError
from sepl.settings import Settings

_ROUNDED = re.compile(r"[+-]?(?P<whole>\d)(?:[.,](?P<decimals>\d+))?[eE]\+(?P<exponent>\d{1,3})")
_MOST_DECIMALS = 15
"""A double, which is what such a number was, holds no whole numbers beyond."""
_ZEROS = re.compile(r"(?<![\d.,])0+(?=\d)")  # 1.05 is no 1.5
_WHOLE = re.compile(r"(\d+)\.0+")


class IdOptions(Settings):
    """The `[ids]` section: what does not tell patients apart."""

    ignore_case: bool = False
    """P7 is p7."""
    ignore_zeros: bool = False
    """P007 is P7, and 7.0, as spreadsheets make of a number, is 7."""
    ignore_form: bool = False
    """Composed and decomposed letters are one, full-width ones the usual ones; invisible characters are none."""
    space: str | None = Field(default=None, min_length=1, pattern=r"^[^:]+$")
    """Cohorts prepared together that name the same one mean the same person by the same id."""

    def fold(self, text: str) -> str:
        """The spelling that stands for all that count as this one."""
        for option, function in _FOLDS.items():
            if getattr(self, option):
                text = function(text)
        return text

    def fold_all(self, texts: NDArray[np.object_]) -> NDArray[np.object_]:
        """Of each (N,)."""
        if not any(getattr(self, option) for option in _FOLDS):
            return texts
        folded = {text: self.fold(text) for text in dict.fromkeys(map(str, texts))}
        return np.array([folded[str(text)] for text in texts], object)


def _form(text: str) -> str:
    if text.isascii() and text.isprintable():  # nearly all are, in cohorts of a million
        return " ".join(text.split())
    visible = "".join(letter for letter in normalize("NFKC", text) if category(letter) not in ("Cf", "Cc"))
    return " ".join(visible.split())


def _case(text: str) -> str:
    return text.casefold()


def _zeros(text: str) -> str:
    return _ZEROS.sub("", _WHOLE.sub(r"\1", text) if _WHOLE.fullmatch(text) else text)


_FOLDS: Mapping[str, Callable[[str], str]] = {"ignore_form": _form, "ignore_case": _case, "ignore_zeros": _zeros}
_SAID = {
    "ignore_form": "Unicode form or invisible characters",
    "ignore_case": "capitals",
    "ignore_zeros": "zeros",
}


def describe_near(ids: Iterable[str]) -> str:
    """How many ids are nearly another's, and which options would make them one; empty where none is."""
    different = set(ids) - {""}
    whole = IdOptions.model_validate(dict.fromkeys(_FOLDS, True))
    num_near = _num_alike(different, whole)
    if not num_near:
        return ""
    counts = {option: _num_alike(different, IdOptions.model_validate({option: True})) for option in _FOLDS}
    told = ", ".join(f"{count} by {_SAID[option]} ({option})" for option, count in counts.items() if count)
    return (
        f"{num_near} of {len(different)} ids are nearly another's and count as patients of their own"
        f"{f': {told}' if told else ''}; say in [ids] what does not count"
    )


def _num_alike(ids: set[str], options: IdOptions) -> int:
    """The number of ids that an option makes another's as well."""
    groups: dict[str, int] = {}
    for text in ids:
        key = options.fold(text)
        groups[key] = groups.get(key, 0) + 1
    return sum(count for count in groups.values() if count > 1)


def check_not_rounded(texts: NDArray[np.object_], place: str, rows: NDArray[np.int64]) -> None:
    """CohortError, which `place` opens, where an id (N,) is a number in scientific notation that lost digits."""
    known = {text: _is_rounded(text) for text in dict.fromkeys(map(str, texts))}
    wrong = [index for index, text in enumerate(texts) if known[str(text)]]
    if wrong:
        raise CohortError(
            f"{place}, row {rows[wrong[0]]} should be an id, is a number in scientific notation whose last digits a "
            f"spreadsheet dropped, as in {len(wrong)} of {len(texts)} rows; export the column as text"
        )


def _is_rounded(text: str) -> bool:
    match = _ROUNDED.fullmatch(text)
    return match is not None and int(match["exponent"]) > min(len(match["decimals"] or ""), _MOST_DECIMALS)
