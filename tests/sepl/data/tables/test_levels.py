import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.data.tables.levels import level_name, meanings_of, read_levels
from sepl.data.tables.values import key_of

GRADES = ("none", "mild", "severe")
NAMES = st.lists(st.text("abcXY 01.", min_size=1).filter(lambda name: bool(name.strip())), min_size=2, max_size=6)


def places(cells, levels=GRADES, codes=None, missing=()):
    labels, wrong = read_levels(pd.Series(cells, dtype=str), meanings_of(levels, codes or {}), missing)
    return labels.tolist(), wrong.tolist()


@given(NAMES.filter(lambda names: len({key_of(name) for name in names}) == len(names)), st.data())
def test_every_cell_that_names_a_level_is_its_place_whatever_its_capitals(names, data):
    order = data.draw(st.lists(st.integers(0, len(names) - 1), min_size=1))

    for cells in ([names[place] for place in order], [names[place].upper() for place in order]):
        assert places(cells, names) == (order, [False] * len(order))


@pytest.mark.parametrize("cell", ["0", "0.0", "00", "0e0", "+0"])
def test_a_number_is_the_level_of_that_number(cell):
    assert places([cell], ("0", "1", "2"))[0] == [0.0]


def test_codes_mean_their_level_and_so_does_its_name():
    cells = ["R0", "r1", "Severe", "3", "NONE", "3.0"]

    assert places(cells, codes={"none": ["R0"], "mild": ["R1"], "severe": [3]})[0] == [0, 1, 2, 2, 0, 2]


def test_a_level_may_be_called_what_elsewhere_spells_absent():
    labels, wrong = places(["None", "", "mild", "?", "n/a"])

    np.testing.assert_array_equal(labels, [0, np.nan, 1, np.nan, np.nan])
    assert not any(wrong)


def test_what_is_no_level_is_wrong_and_what_is_declared_missing_is_not():
    labels, wrong = places(["mild", "ungradable", "Grade 7"], missing=["Ungradable"])

    np.testing.assert_array_equal(labels, [1, np.nan, np.nan])
    assert wrong == [False, False, True]


@pytest.mark.parametrize(
    ("levels", "codes", "problem"),
    [
        (("a", "b"), {"c": ["x"]}, "cells should be of the levels a, b; had 'c'"),
        (("a", "b"), {"a": ["x"], "b": ["X"]}, "'X' should mean one level, meant 'a' and 'b'"),
        (("a", "b"), {"a": ["B"]}, "'B' should mean one level, meant 'b' and 'a'"),
        (("0", "0.0"), {}, "'0.0' should mean one level, meant '0' and '0.0'"),
        (("a", ""), {}, "cells of level '' should be texts or numbers"),
        (("a", "NaN"), {}, "cells of level 'NaN' should be texts or numbers"),
    ],
)
def test_a_cell_that_could_mean_two_levels_or_none_is_refused(levels, codes, problem):
    with pytest.raises(ValueError, match=problem):
        meanings_of(levels, codes)


def test_a_level_is_named_by_the_shortest_spelling_of_its_number():
    assert [level_name(value) for value in (2, 2.0, 2.5, " mild ", True)] == ["2", "2", "2.5", "mild", "true"]
