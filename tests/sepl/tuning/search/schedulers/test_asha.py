"""Successive halving that stops."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sepl.tuning.search.schedulers.asha import ASHA
from sepl.tuning.search.schedulers.base import Decision

NUM_EPOCHS = 9
CURVES = st.lists(st.lists(st.floats(-1, 1), min_size=NUM_EPOCHS, max_size=NUM_EPOCHS).map(sorted), max_size=12)


def run(scheduler: ASHA, trial: int, curve: list[float], first: int = 1) -> list[tuple[int, float]]:
    """Until it is stopped; the (epoch, skill) pairs that it came to."""
    told = []
    for epoch, skill in enumerate(curve, start=1):
        if epoch >= first:
            told.append((epoch, skill))
            if scheduler.report(trial, epoch, skill) is Decision.STOP:
                break
    return told


def stops_plainly(curves: list[list[float]]) -> list[int]:
    """The epoch that each comes to by the rule as it is written: below the upper third of a rung is the end."""
    rungs: dict[int, list[float]] = {1: [], 3: []}
    stopped = []
    for curve in curves:
        end = NUM_EPOCHS
        for epoch, skills in rungs.items():
            skill = curve[epoch - 1]
            is_below = bool(skills) and skill < np.nanpercentile(skills, (1 - 1 / 3) * 100)
            skills.append(skill)
            if is_below:
                end = epoch
                break
        stopped.append(end)
    return stopped


@given(curves=CURVES)
def test_trials_stop_at_the_cutoffs_of_the_plain_rule(curves: list[list[float]]) -> None:
    scheduler = ASHA(num_epochs=NUM_EPOCHS)

    stopped = [len(run(scheduler, trial, curve)) for trial, curve in enumerate(curves)]

    assert stopped == stops_plainly(curves)


@given(curves=CURVES)
def test_what_is_played_back_gives_the_rungs_of_before(curves: list[list[float]]) -> None:
    before = ASHA(num_epochs=NUM_EPOCHS)
    told = [run(before, trial, curve) for trial, curve in enumerate(curves)]

    after = ASHA(num_epochs=NUM_EPOCHS)
    for trial, values in enumerate(told):
        after.enter(trial, values, "ended")

    assert after.skills() == before.skills()
    assert after.rungs() == before.rungs()


@given(curves=CURVES.filter(bool), place=st.integers(0, 12))
def test_a_planted_bad_trial_is_stopped_at_the_first_rung_and_a_planted_good_one_never(
    curves: list[list[float]], place: int
) -> None:
    before, after = curves[: 1 + place % len(curves)], curves[1 + place % len(curves) :]
    scheduler = ASHA(num_epochs=NUM_EPOCHS)
    lengths = [
        len(run(scheduler, trial, curve))
        for trial, curve in enumerate([*before, [-2.0] * NUM_EPOCHS, [2.0] * NUM_EPOCHS, *after])
    ]

    assert lengths[len(before)] == 1
    assert lengths[len(before) + 1] == NUM_EPOCHS


def test_a_trial_that_goes_on_is_not_judged_again_at_a_rung_it_passed() -> None:
    scheduler = ASHA(num_epochs=NUM_EPOCHS)
    for trial in range(2):
        scheduler.enter(trial, [(1, 0.9), (2, 0.9), (3, 0.9)], "ended")
    scheduler.enter(2, [(1, 0.1), (2, 0.1), (3, 0.1), (4, 0.1)])

    told = run(scheduler, 2, [0.1] * 8, first=5)

    assert told[-1] == (8, 0.1)
    assert dict(scheduler.rungs()) == {1: 3, 3: 3, 9: 0}


def test_the_first_rung_is_at_the_grace_epochs() -> None:
    scheduler = ASHA(num_epochs=NUM_EPOCHS, grace_epochs=2)
    run(scheduler, 0, [0.5] * NUM_EPOCHS)

    assert run(scheduler, 1, [0.1] * NUM_EPOCHS) == [(1, 0.1), (2, 0.1)]
