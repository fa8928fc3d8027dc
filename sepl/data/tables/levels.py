"""A column of grades or classes as places of levels."""

from collections.abc import Mapping, Sequence
from math import isnan

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sepl.data.tables.values import Code, each, is_absent, key_of

Meanings = Mapping[float | str, int]
"""Place of the level that a cell means, by the cell's key."""


def level_name(value: Code) -> str:
    """What a level is called that a file names by a text or a number: 2, 2.0 and " 2 " are "2"."""
    if isinstance(value, bool):
        return str(value).lower()
    return value.strip() if isinstance(value, str) else f"{value:g}"


def meanings_of(levels: Sequence[str], cells: Mapping[str, Sequence[Code]]) -> Meanings:
    """What cells mean: their level's own name, or one of its codes in `cells`.

    Raises ValueError for codes of something that is no level, an empty name, and a cell that would mean two levels.
    """
    places: dict[float | str, int] = {}
    for place, name in enumerate(levels):
        _add(places, name, place, levels)
    own = dict(places)
    for name, codes in cells.items():
        if key_of(name) not in own:
            raise ValueError(f"cells should be of the levels {', '.join(levels)}; had {name!r}")
        for code in codes:
            _add(places, code, own[key_of(name)], levels)
    return places


def _add(places: dict[float | str, int], code: Code, place: int, levels: Sequence[str]) -> None:
    key = key_of(code)
    if key == "" or (isinstance(key, float) and isnan(key)):
        raise ValueError(f"cells of level {levels[place]!r} should be texts or numbers, had {code!r}")
    if places.setdefault(key, place) != place:
        raise ValueError(f"{code!r} should mean one level, meant {levels[places[key]]!r} and {levels[place]!r}")


def read_levels(
    text: "pd.Series", meanings: Meanings, missing: Sequence[Code] = ()
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The place of each cell's level (N,), NaN where absent; and what is wrong.

    A level may be called what elsewhere spells absent, such as none.
    """
    labels = each(text, lambda cell: meanings.get(key_of(cell), np.nan), np.float64)
    return labels, np.isnan(labels) & ~is_absent(text, missing)
