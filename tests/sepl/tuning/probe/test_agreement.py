"""Rank correlation and what follows from it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from sepl.tuning.probe.agreement import LEAST_TRIALS, agreement_of, rank_correlation


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=20))
def test_it_is_spearmans_with_ties_sharing_their_mean_rank(pairs: list[tuple[int, int]]) -> None:
    one, other = (np.array(values, float) for values in zip(*pairs, strict=True))
    found = rank_correlation(one, other).value

    if np.ptp(one) == 0 or np.ptp(other) == 0:
        assert found is None
    else:
        assert found == pytest.approx(spearmanr(one, other)[0], abs=1e-9)


def test_the_interval_holds_the_figure_and_narrows_with_more_trials() -> None:
    rng = np.random.default_rng(0)
    one = rng.normal(size=200)
    other = one + rng.normal(size=200)

    few, many = rank_correlation(one[:15], other[:15]), rank_correlation(one, other)

    for found in (few, many):
        assert found.value is not None
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.value <= found.high
    assert many.high - many.low < few.high - few.low  # type: ignore[operator]


def test_two_trials_tell_nothing() -> None:
    assert rank_correlation(np.ones(2), np.ones(2)).value is None


@pytest.mark.parametrize(
    ("num_trials", "sign", "is_heard"),
    [
        (LEAST_TRIALS, 1, True),
        (LEAST_TRIALS, -1, False),
        (LEAST_TRIALS - 1, -1, True),
    ],
)
def test_a_probe_that_ranks_otherwise_is_left_out_once_there_are_trials_enough(
    num_trials: int, sign: int, is_heard: bool
) -> None:
    skills = np.arange(num_trials, dtype=float)

    agreement = agreement_of(np.r_[skills, np.nan], np.r_[sign * skills, 1.0])

    assert agreement.is_heard is is_heard
    assert agreement.num_trials == num_trials
