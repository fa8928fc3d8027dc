"""Moments of residuals, and how much of a predicted move new patients bear out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sepl.metrics.covariance import borne_out_share, winsorised_moments

LEAST = 20


def _drawn(num_patients: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.multivariate_normal([0.0, 1.0, -1.0], [[1.0, 0.6, 0.0], [0.6, 1.0, 0.3], [0.0, 0.3, 2.0]], num_patients)


def test_of_many_patients_the_moments_are_nearly_those_that_were_planted() -> None:
    moments = winsorised_moments(_drawn(20_000), LEAST)
    assert_allclose(moments.means_T, [0.0, 1.0, -1.0], atol=0.05)
    assert_allclose(moments.covariance_TT[0, 1], 0.6, atol=0.1)  # winsorising takes a little
    assert_allclose(moments.covariance_TT[0, 2], 0.0, atol=0.05)


@given(st.integers(0, 10_000), st.integers(20, 60))
def test_the_covariance_is_symmetric_without_a_negative_eigenvalue(seed: int, num_patients: int) -> None:
    residuals_PT = _drawn(num_patients, seed)
    residuals_PT[np.random.default_rng(seed).random(residuals_PT.shape) < 0.3] = np.nan
    covariance_TT = winsorised_moments(residuals_PT, 10).covariance_TT
    assert_allclose(covariance_TT, covariance_TT.T, atol=1e-12)
    assert np.linalg.eigvalsh(covariance_TT).min() >= -1e-9


def test_a_task_of_too_few_patients_has_zeros() -> None:
    residuals_PT = _drawn(100)
    residuals_PT[LEAST - 1 :, 1] = np.nan
    moments = winsorised_moments(residuals_PT, LEAST)
    assert not moments.covariance_TT[1].any()
    assert not moments.covariance_TT[:, 1].any()
    assert moments.means_T[1] == 0
    assert moments.covariance_TT[0, 0] > 0


def test_one_wild_patient_hardly_moves_the_covariance() -> None:
    residuals_PT = _drawn(200)
    before = winsorised_moments(residuals_PT, LEAST).covariance_TT
    residuals_PT[0] = 1e6
    assert_allclose(winsorised_moments(residuals_PT, LEAST).covariance_TT, before, atol=0.3)


def test_a_move_that_patients_confirm_is_made_nearly_whole() -> None:
    rng = np.random.default_rng(0)
    moves_P = rng.normal(size=2000)
    assert borne_out_share(moves_P, moves_P + 0.1 * rng.normal(size=2000)) > 0.98


@pytest.mark.parametrize("sign", [0.0, -1.0])
def test_a_move_that_patients_refute_is_not_made(sign: float) -> None:
    rng = np.random.default_rng(1)
    moves_P = rng.normal(size=200)
    assert borne_out_share(moves_P, sign * moves_P + rng.normal(size=200)) == pytest.approx(0.0, abs=0.05)


def test_a_move_twice_too_far_is_made_half() -> None:
    rng = np.random.default_rng(2)
    moves_P = rng.normal(size=5000)
    assert borne_out_share(moves_P, 0.5 * moves_P + 0.2 * rng.normal(size=5000)) == pytest.approx(0.5, abs=0.02)


@given(st.integers(0, 10_000), st.integers(2, 200), st.floats(-3, 3))
def test_the_share_is_between_nothing_and_all_and_not_above_the_slope(seed: int, num: int, slope: float) -> None:
    rng = np.random.default_rng(seed)
    moves_P = rng.normal(size=num)
    residuals_P = slope * moves_P + rng.normal(size=num)
    share = borne_out_share(moves_P, residuals_P)
    assert 0 <= share <= 1
    assert share <= max(0.0, (moves_P @ residuals_P) / (moves_P @ moves_P))


def test_fewer_patients_are_trusted_less() -> None:
    moves_P = np.tile([1.0, -1.0], 20)
    residuals_P = 0.5 * moves_P + np.tile([0.3, 0.3, -0.3, -0.3], 10)
    few, many = (borne_out_share(np.tile(moves_P, times), np.tile(residuals_P, times)) for times in (1, 50))
    assert few < many <= 0.5


def test_nothing_predicted_is_nothing_borne_out() -> None:
    assert borne_out_share(np.zeros(30), np.ones(30)) == 0.0
