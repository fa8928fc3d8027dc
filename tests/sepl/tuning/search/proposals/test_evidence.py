"""What trials of every fate say."""

import math
from collections.abc import Mapping
from typing import Any, Literal

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from sepl.tuning.search.proposals.evidence import NUM_STARTUP, Evidence

NEXT = 10_000
"""Number of the trial that is being proposed."""


def trial(state: TrialState, curve: Mapping[int, float], **attributes: Any) -> FrozenTrial:
    return create_trial(
        state=state,
        value=curve[max(curve)] if state == TrialState.COMPLETE else None,
        params={"x": 0.5},
        distributions={"x": FloatDistribution(0.0, 1.0)},
        intermediate_values=dict(curve),
        user_attrs=attributes,
    )


def evidence(*trials: FrozenTrial, direction: Literal["maximize", "minimize"] = "maximize") -> Evidence:
    study = optuna.create_study(direction=direction)
    study.add_trials(trials)
    return Evidence.of(study, but=NEXT)


def test_a_good_trial_stopped_early_may_outrank_a_bad_one_that_ran_to_the_end() -> None:
    good_early = trial(TrialState.PRUNED, {1: 0.5})
    full = [trial(TrialState.COMPLETE, {1: 0.6 + place / 10, 3: 0.7 + place / 10}) for place in range(3)]
    early = [trial(TrialState.PRUNED, {1: place / 10}) for place in range(4)]

    ranks = evidence(good_early, *full, *early).ranks()

    assert ranks[0] == 5 / 8
    assert [ranks[number] for number in (1, 2, 3)] == [1 / 3, 2 / 3, 1.0]


def test_running_trials_count_at_the_rungs_that_they_passed_and_are_not_judged() -> None:
    known = evidence(trial(TrialState.PRUNED, {1: 0.5}), trial(TrialState.RUNNING, {1: 0.9, 2: 0.9}))

    assert known.ranks() == {0: 0.5}
    assert [running.number for running in known.running] == [1]


def test_a_paused_trial_is_judged_by_what_it_has() -> None:
    assert evidence(trial(TrialState.RUNNING, {1: 0.5}, paused=True)).ranks() == {0: 1.0}


def test_what_diverged_is_the_worst_and_what_crashed_says_nothing() -> None:
    known = evidence(trial(TrialState.FAIL, {1: 0.9}, crashed=False), trial(TrialState.FAIL, {1: 0.9}, crashed=True))

    assert known.ranks() == {0: 0.0}
    assert known.last_value(known.judged[0]) == -math.inf
    assert not known.has_started


def test_nothing_is_learnt_before_there_are_enough_trials_with_a_value() -> None:
    trials = [trial(TrialState.PRUNED, {1: 0.5})] * (NUM_STARTUP - 1)

    assert not evidence(*trials, trial(TrialState.FAIL, {}, crashed=False)).has_started
    assert evidence(*trials, trial(TrialState.COMPLETE, {3: 0.5})).has_started


def test_a_trial_that_skipped_an_epoch_is_there_as_it_was_before() -> None:
    known = evidence(trial(TrialState.PRUNED, {2: 0.5}), trial(TrialState.COMPLETE, {1: 0.9, 3: 0.2}))

    assert known.ranks()[0] == 0.5


def test_the_lowest_is_the_best_of_a_study_that_minimises() -> None:
    known = evidence(trial(TrialState.COMPLETE, {1: 0.5}), trial(TrialState.COMPLETE, {1: 0.2}), direction="minimize")

    assert known.ranks() == {0: 0.5, 1: 1.0}


_CURVES = st.lists(
    st.tuples(st.lists(st.integers(0, 9), min_size=1, max_size=4), st.booleans()), min_size=1, max_size=12
)


@given(drawn=_CURVES, order=st.randoms(use_true_random=False))
def test_ranks_lie_in_their_range_and_do_not_hang_on_the_order(drawn: list[tuple[list[int], bool]], order: Any) -> None:
    trials = [
        trial(
            TrialState.COMPLETE if is_full else TrialState.PRUNED,
            {epoch: value / 10 for epoch, value in enumerate(values, start=1)},
        )
        for values, is_full in drawn
    ]
    places = list(range(len(trials)))
    order.shuffle(places)

    ranks = evidence(*trials).ranks()
    shuffled = evidence(*(trials[place] for place in places)).ranks()

    assert all(0 < rank <= 1 for rank in ranks.values())
    assert {places[number]: pytest.approx(rank) for number, rank in shuffled.items()} == ranks
