import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.metrics.bootstrap import estimate, median_of_present, resample_patients


@given(st.integers(1, 50), st.integers(0, 20), st.integers(0, 2**32 - 1))
def test_every_resample_draws_as_many_patients_as_there_are(num_patients: int, num_bootstrap: int, seed: int) -> None:
    draws_BP = resample_patients(num_patients, num_bootstrap, seed)

    assert draws_BP.shape == (1 + num_bootstrap, num_patients)
    assert (draws_BP[0] == 1).all()
    assert (draws_BP.sum(axis=1) == num_patients).all()


def test_the_same_seed_draws_the_same_patients() -> None:
    assert np.array_equal(resample_patients(9, 5, seed=3), resample_patients(9, 5, seed=3))


def test_a_figure_not_defined_on_the_sample_has_no_interval() -> None:
    assert str(estimate(np.array([np.nan, 0.1, 0.2]))) == "n/a"


def test_resamples_where_the_figure_is_not_defined_are_left_out() -> None:
    interval = estimate(np.array([0.5, np.nan, *np.linspace(0, 1, 1001)]))

    assert interval.value == 0.5
    assert (interval.low, interval.high) == pytest.approx((0.025, 0.975), abs=1e-3)


def test_the_median_is_of_what_is_there() -> None:
    assert median_of_present(np.array([np.nan, 1.0, 3.0])) == 2.0
    assert median_of_present(np.array([np.nan])) == 0.0
