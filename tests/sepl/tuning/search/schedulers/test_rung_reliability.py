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
    (reliability,) = rung_reliability([{1: first, 2: last} for first, last in pairs], [1, 2], num_epochs=2)

    assert reliability.tau == pytest.approx(kendalltau(*zip(*pairs, strict=True))[0])
    assert reliability.low <= reliability.high
    assert (reliability.epoch, reliability.reference, reliability.num_trials) == (1, 2, len(pairs))


def test_an_order_that_is_final_at_once_has_reliability_one_and_one_that_turns_minus_one() -> None:
    curves = [{1: -trial, 2: trial, 9: 2 * trial} for trial in range(10)]

    first, second = rung_reliability(curves, [1, 2], num_epochs=9)

    assert (first.tau, second.tau) == (-1.0, 1.0)
    assert str(second) == "1.00 (1.00 … 1.00)"
    assert first_reliable_epoch(curves, 9, least=1) == 2


@pytest.mark.parametrize("curves", [[{1: 0.1, 9: 0.2}] * (LEAST_TRIALS - 1), [{1: 0.1, 2: 0.2}] * 20, []])
def test_few_trials_and_trials_that_came_not_far_say_nothing(curves: list[dict[int, float]]) -> None:
    assert rung_reliability(curves, [1], num_epochs=9) == []
    assert first_reliable_epoch(curves, 9, least=1) is None


def test_the_first_rung_is_at_most_a_third_of_the_way_unless_the_warm_up_is_longer() -> None:
    noise = np.random.default_rng(0).normal(size=(20, 8))
    curves = [dict(enumerate([*row, trial], start=1)) for trial, row in enumerate(noise)]

    assert first_reliable_epoch(curves, 9, least=1) == 3
    assert first_reliable_epoch(curves, 9, least=4) == 4


def test_what_is_judged_by_is_as_far_as_enough_trials_have_come() -> None:
    curves = [{1: trial, 3: -trial, 9: trial} for trial in range(3)] + [{1: trial, 3: -trial} for trial in range(3, 9)]

    (reliability,) = rung_reliability(curves, [1, 3], num_epochs=9)

    assert (reliability.reference, reliability.num_trials, reliability.tau) == (3, 9, -1.0)
