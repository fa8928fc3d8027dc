"""How often a true value is taken for another patient's: seldom, however long the tails are."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sepl.scoring.limits import MAX_DEVIATIONS, believable_limits

Floats = NDArray[np.float64]


def limits_of(residuals_PT: Floats) -> Floats:
    """As conditioning asks for them."""
    winsorised_PT = np.clip(residuals_PT, *np.quantile(residuals_PT, (0.02, 0.98), axis=0))
    return np.array(believable_limits(residuals_PT, winsorised_PT.mean(axis=0), winsorised_PT.std(axis=0, ddof=1)))


def _lognormal(rng: np.random.Generator, shape: tuple[int, ...], spread: float) -> Floats:
    """Residuals of a factor that is about lognormal and of which an output tells the median alone."""
    return np.exp(spread * rng.normal(size=shape)) - 1


@pytest.mark.parametrize("num_patients", [60, 120, 350])
@pytest.mark.parametrize("spread", [0.3, 0.55, 0.8])  # of the logarithm; triglycerides have about 0.55
def test_a_true_value_is_taken_for_anothers_in_at_most_one_of_200_patients_also_where_tails_are_long(
    num_patients: int, spread: float
) -> None:
    rng = np.random.default_rng(0)
    residuals_PT = _lognormal(rng, (num_patients, 100), spread)  # as many fits as tasks

    limits_T = limits_of(residuals_PT)

    off_NT = np.abs(_lognormal(rng, (20_000, 100), spread) - residuals_PT.mean(axis=0))
    assert (off_NT > limits_T).mean() <= 1 / 200
    assert (off_NT.max(axis=0) > limits_T).mean() > 0.5  # but mostly the furthest are


@pytest.mark.parametrize("num_patients", [60, 120, 350])
def test_where_tails_are_short_four_deviations_are_the_limit(num_patients: int) -> None:
    residuals_PT = np.random.default_rng(0).normal(size=(num_patients, 100))

    limits_T = limits_of(residuals_PT)

    deviations_T = residuals_PT.std(axis=0)
    assert np.median(limits_T / deviations_T) == pytest.approx(MAX_DEVIATIONS, rel=0.12)
    assert (limits_T < 6 * deviations_T).mean() > 0.9


def test_one_wrong_label_does_not_end_the_check_and_a_task_of_too_few_patients_has_none() -> None:
    residuals_PT = np.random.default_rng(0).normal(size=(60, 1))
    spoiled_PT = residuals_PT.copy()
    spoiled_PT[7] = 1e6

    assert limits_of(spoiled_PT)[0] < 4 * limits_of(residuals_PT)[0]
    assert believable_limits(residuals_PT, np.zeros(1), np.zeros(1)) == (0.0,)
