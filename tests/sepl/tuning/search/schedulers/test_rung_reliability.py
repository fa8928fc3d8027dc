"""What an early skill says of the last one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from sepl.tuning.search.schedulers.rung_reliability import LEAST_TRIALS, first_reliable_epoch, rung_reliability

PAIRS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=LEAST_TRIALS, max_size=30)


@given(pairs=PAIRS.filter(lambda pairs: all(len(set(column)) > 1 for column in zip(*pairs, strict=True))))
def test_it_is_kendalls_tau_with_an_interval_around_it(pairs: list[tuple[int, int]]) -> None:
    (reliability,) = rung_reliability([{1: first, 2: last} for first, last in pairs], [1])

    assert reliability.tau == pytest.approx(kendalltau(*zip(*pairs, strict=True))[0])
    assert reliability.low <= reliability.high
    assert (reliability.epoch, reliability.num_trials) == (1, len(pairs))


def test_an_order_that_is_final_at_once_has_reliability_one_and_one_that_turns_minus_one() -> None:
    curves = [{1: -trial, 2: trial, 3: 2 * trial} for trial in range(10)]

    first, second = rung_reliability(curves, [1, 2])

    assert (first.tau, second.tau) == (-1.0, 1.0)
    assert first_reliable_epoch(curves, least=1, most=3) == 2


def test_few_trials_say_nothing() -> None:
    curves = [{1: 0.1, 2: 0.2}] * (LEAST_TRIALS - 1)

    assert rung_reliability(curves, [1]) == []
    assert first_reliable_epoch(curves, least=1, most=2) is None


def test_the_first_rung_is_at_most_the_last_that_is_allowed() -> None:
    noise = np.random.default_rng(0).normal(size=(20, 9))
    curves = [dict(enumerate([*row, trial], start=1)) for trial, row in enumerate(noise)]

    assert first_reliable_epoch(curves, least=1, most=3) == 3
    assert first_reliable_epoch(curves, least=5, most=3) == 5


def test_a_trial_that_ended_itself_keeps_its_last_skill() -> None:
    curves = [{1: trial, 2: trial, 3: trial} for trial in range(8)] + [{1: 9.0}]

    (reliability,) = rung_reliability(curves, [3])

    assert reliability.tau == 1.0
