"""Successive halving that promotes, driven one trial at a time: a paused one that may go on, else a new one."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.tuning.search.schedulers.base import Decision, Scheduler
from sepl.tuning.search.schedulers.pasha import PASHA
from sepl.tuning.search.schedulers.promotion import PromotionASHA

NUM_EPOCHS = 9


def search(scheduler: Scheduler, curves: Sequence[Sequence[float]]) -> list[int]:
    """As one worker does; the epochs that each trial came to."""
    epochs = [0] * len(curves)
    new = iter(range(len(curves)))
    while True:
        trial = scheduler.next_resumable(is_draining=False)
        if trial is None:
            trial = next(new, None)
            if trial is not None:
                scheduler.enter(trial)
        if trial is None:
            trial = scheduler.next_resumable(is_draining=True)
        if trial is None:
            return epochs
        decision = Decision.CONTINUE
        while decision is Decision.CONTINUE:
            epochs[trial] += 1
            decision = scheduler.report(trial, epochs[trial], curves[trial][epochs[trial] - 1])
        if decision is Decision.STOP:
            scheduler.end(trial)


@given(order=st.permutations(range(27)))
def test_who_is_among_the_best_of_every_rung_comes_to_the_end_whenever_it_came(order: list[int]) -> None:
    curves = [[float(rank)] * NUM_EPOCHS for rank in order]

    epochs = search(PromotionASHA(num_epochs=NUM_EPOCHS), curves)

    by_rank = dict(zip(order, epochs, strict=True))
    assert [by_rank[rank] for rank in (26, 25, 24)] == [NUM_EPOCHS] * 3


@given(order=st.permutations(range(27)))
def test_a_slow_starter_that_ends_best_is_not_lost(order: list[int]) -> None:
    """The least of the upper third after an epoch, then the best of all."""
    curves = [[float(rank), *([100.0] if rank == 18 else [float(rank)]) * (NUM_EPOCHS - 1)] for rank in order]

    epochs = search(PromotionASHA(num_epochs=NUM_EPOCHS), curves)

    assert epochs[order.index(18)] == NUM_EPOCHS


@given(order=st.permutations(range(9)))
def test_the_worst_trial_costs_an_epoch(order: list[int]) -> None:
    epochs = search(PromotionASHA(num_epochs=NUM_EPOCHS), [[float(rank)] * NUM_EPOCHS for rank in order])

    assert epochs[order.index(0)] == 1
    assert sum(epochs) <= 9 + 9 * 2 + 9 * 6  # each early leader may have been promoted, and none twice


@pytest.mark.parametrize("num_trials", [1, 2, 4])
@pytest.mark.parametrize("make", [PromotionASHA, PASHA])
def test_the_best_of_too_few_trials_goes_on_to_the_end(make: Callable[..., Scheduler], num_trials: int) -> None:
    epochs = search(make(num_epochs=NUM_EPOCHS), [[float(trial)] * NUM_EPOCHS for trial in range(num_trials)])

    assert max(epochs) == epochs[-1] == NUM_EPOCHS


@given(order=st.permutations(range(12)))
def test_a_resumed_scheduler_promotes_as_the_one_before(order: list[int]) -> None:
    before, after = PromotionASHA(num_epochs=NUM_EPOCHS), PromotionASHA(num_epochs=NUM_EPOCHS)
    for trial, rank in enumerate(order):
        before.enter(trial)
        if before.report(trial, 1, float(rank)) is Decision.PAUSE:
            after.enter(trial, [(1, float(rank))], "paused")
        else:
            after.enter(trial, [(1, float(rank))])

    named = [[scheduler.next_resumable(is_draining=False) for _ in order] for scheduler in (before, after)]

    assert named[0] == named[1]
    assert after.rungs() == before.rungs()


def test_a_trial_that_fails_is_named_no_more() -> None:
    scheduler = PromotionASHA(num_epochs=NUM_EPOCHS)
    for trial in range(3):
        scheduler.enter(trial)
        scheduler.report(trial, 1, float(-trial))

    scheduler.end(0)

    assert scheduler.next_resumable(is_draining=False) is None
    assert scheduler.next_resumable(is_draining=True) == 1


def test_the_one_that_is_to_be_whole_is_chosen_when_all_others_are_done() -> None:
    scheduler = PromotionASHA(num_epochs=NUM_EPOCHS)
    for trial in range(2):
        scheduler.enter(trial)
    scheduler.report(0, 1, 0.5)

    assert scheduler.next_resumable(is_draining=True) is None  # the other may yet be better
    scheduler.report(1, 1, 0.6)
    assert scheduler.next_resumable(is_draining=True) == 1
    assert scheduler.report(1, 3, 0.6) is Decision.CONTINUE
