"""Rungs keep skills in order without sorting them."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sepl.tuning.search.schedulers.rungs import Ladder, Rung, rung_epochs

SKILLS = st.lists(st.floats(-1, 1) | st.sampled_from([0.0, 0.25, 0.5]), min_size=1, max_size=20)


@given(skills=SKILLS, fraction=st.floats(0, 1))
def test_a_quantile_is_numpys_bit_for_bit(skills: list[float], fraction: float) -> None:
    rung = filled(skills)

    assert rung.quantile(fraction) == float(np.quantile(skills, fraction))


@given(skills=SKILLS)
def test_ranks_are_the_places_of_a_sort_that_keeps_the_order_of_equals(skills: list[float]) -> None:
    rung = filled(skills)

    by_rank = sorted(range(len(skills)), key=rung.rank)

    assert by_rank == sorted(range(len(skills)), key=lambda trial: -skills[trial])
    assert rung.skills() == sorted(skills)


@given(num_epochs=st.integers(1, 100), grace_epochs=st.integers(1, 100))
def test_rungs_rise_by_a_factor_and_end_within_the_epochs(num_epochs: int, grace_epochs: int) -> None:
    epochs = rung_epochs(num_epochs, grace_epochs)

    assert epochs[0] == min(grace_epochs, num_epochs)
    assert epochs[-1] <= num_epochs < 3 * epochs[-1]
    assert all(above == 3 * below for below, above in itertools.pairwise(epochs))


def test_a_trial_reaches_the_highest_rung_that_it_has_not_reached() -> None:
    ladder = Ladder([1, 3, 9])

    assert ladder.newly_reached(0, 4) == 1
    ladder.rungs[1].record(0, 0.5)
    assert ladder.newly_reached(0, 3) == 0
    assert ladder.highest(0) == 1


def filled(skills: list[float]) -> Rung:
    rung = Rung(1)
    for trial, skill in enumerate(skills):
        rung.record(trial, skill)
    return rung
