import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sepl.data.tables.units import QUANTITIES, Unit
from sepl.tasks import CARDIOMETABOLIC_TASKS

UNITS = [(task, unit) for task, quantity in QUANTITIES.items() for unit in quantity.units]
amounts = st.floats(min_value=1e-3, max_value=1e4)


def written_in(unit: Unit, values: NDArray[np.float64]) -> NDArray[np.float64]:
    return (values - unit.offset) / unit.slope


@given(st.sampled_from(UNITS), st.lists(amounts, min_size=1))
def test_there_and_back_is_the_identity(case, values):
    _, unit = case

    np.testing.assert_allclose(written_in(unit, unit.convert(np.array(values))), values, rtol=1e-9, atol=1e-9)


@given(st.sampled_from(UNITS), amounts, amounts)
def test_conversion_keeps_the_order(case, one, other):
    _, unit = case
    first, second = unit.convert(np.array([one, other]))

    assert (first <= second) == (one <= other)


def test_every_built_in_regression_task_has_units_and_its_own_comes_first():
    for task in CARDIOMETABOLIC_TASKS:
        if task.kind == "regression":
            own = QUANTITIES[task.name].units[0]

            assert (own.name, own.slope, own.offset) == (task.unit, 1.0, 0.0)


# Of the second column: conversion tables of NHANES laboratory documentation (SI and conventional units side by side),
# the NGSP's IFCC table, and plain arithmetic.
KNOWN = [
    ("glucose", "mmol/L", 5.55, 100.0),
    ("total_cholesterol", "mmol/L", 5.17, 200.0),
    ("triglycerides", "mmol/L", 1.129, 100.0),
    ("creatinine", "µmol/L", 88.4, 1.0),
    ("uric_acid", "µmol/L", 59.48, 1.0),
    ("bun", "mmol/L", 5.0, 14.0),
    ("bun", "mg/dL urea", 30.0, 14.0),
    ("hba1c", "mmol/mol", 53.0, 7.0),
    ("height", "in", 70.0, 177.8),
    ("weight", "lb", 154.32, 70.0),
    ("sbp", "kPa", 16.0, 120.0),
    ("age", "months", 600.0, 50.0),
]


@pytest.mark.parametrize(("task", "unit", "value", "expected"), KNOWN)
def test_known_pairs_agree(task, unit, value, expected):
    assert QUANTITIES[task].unit(unit).convert(np.array(value)) == pytest.approx(expected, rel=5e-3)


@pytest.mark.parametrize("spelling", ["µmol/L", "μmol/l", "umol/L", " µMol / L", "micromol/L"])
def test_spellings_of_a_unit_are_one(spelling):
    assert QUANTITIES["creatinine"].unit(spelling).name == "µmol/L"


def test_an_unknown_unit_is_refused_beside_the_choices():
    with pytest.raises(ValueError, match=r"unit should be one of mg/dL, mmol/L, g/L, was 'furlong'"):
        QUANTITIES["glucose"].unit("furlong")


@pytest.mark.parametrize(("task", "unit"), [(task, unit) for task, unit in UNITS if unit.name != "ft+in"])
def test_a_column_in_another_unit_is_guessed(task, unit):
    quantity = QUANTITIES[task]
    middle = np.sqrt(quantity.usual[0] * quantity.usual[1])
    written = written_in(unit, np.array([middle] * 5))

    for declared in quantity.units:
        guesses = quantity.guess(written, declared)
        fits = quantity.usual[0] <= declared.convert(written)[0] <= quantity.usual[1]
        assert (guesses == ()) == fits
        assert fits or unit in guesses


def test_a_median_that_fits_nothing_is_no_guess():
    assert QUANTITIES["glucose"].guess(np.array([1e6]), QUANTITIES["glucose"].units[0]) == ()
    assert QUANTITIES["glucose"].guess(np.array([np.nan]), QUANTITIES["glucose"].units[0]) == ()


@pytest.mark.real_data
@pytest.mark.parametrize("task", QUANTITIES)
def test_american_adults_are_in_their_own_unit_and_never_taken_for_another(task):
    frame = pd.read_parquet(Path(os.environ["SEPL_REAL_DATA"]) / "nhanes_1999_2018.parquet").dropna(subset=task)
    quantity = QUANTITIES[task]
    own, values = quantity.units[0], frame[task].sort_values().to_numpy(np.float64)
    groups = [values[: len(values) // 10], values[-len(values) // 10 :]]  # as far off as a cohort may be
    groups += [group[task].to_numpy(np.float64) for _, group in frame.groupby(["sex", frame["age"] // 20])]

    assert [quantity.guess(group, own) for group in groups] == [()] * len(groups)
    for unit in quantity.units[1:]:
        assert unit in quantity.guess(written_in(unit, values), own)
