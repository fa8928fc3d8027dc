"""Successive halving over an interruption."""

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from ray.tune.schedulers import ASHAScheduler

from sepl.tuning.search.scheduler import RememberingASHA

NUM_EPOCHS = 9
CURVES = st.lists(st.lists(st.floats(-1, 1), min_size=1, max_size=NUM_EPOCHS).map(sorted), max_size=8)


def trial(name: str, earlier: Any = ()) -> SimpleNamespace:
    return SimpleNamespace(trial_id=name, config={"earlier": earlier})


def add(scheduler: Any, added: SimpleNamespace) -> SimpleNamespace:
    scheduler.on_trial_add(None, added)
    return added


def run(scheduler: Any, running: SimpleNamespace, curve: list[float], first: int = 1) -> dict[int, float]:
    """As Tune does, until the scheduler stops it; the {epoch: skill} that it came to."""
    told: dict[int, float] = {}
    for epoch, skill in enumerate(curve, start=1):
        if epoch < first:
            continue
        told[epoch] = skill
        result = {"epoch": epoch, "best_skill": skill}
        if scheduler.on_trial_result(None, running, result) == scheduler.STOP:
            scheduler.on_trial_complete(None, running, result)
            break
    return told


@given(curves=CURVES)
def test_a_resumed_scheduler_has_the_rungs_of_the_one_before(curves: list[list[float]]) -> None:
    before = RememberingASHA(num_epochs=NUM_EPOCHS)
    told = [run(before, add(before, trial(f"t{number}")), curve) for number, curve in enumerate(curves)]

    after = RememberingASHA(num_epochs=NUM_EPOCHS, finished=told)

    # The last rung is the end of every full run and decides nothing.
    assert after.skills()[:-1] == before.skills()[:-1]


def test_a_trial_that_goes_on_is_not_judged_again_at_a_rung_it_passed() -> None:
    scheduler = RememberingASHA(num_epochs=NUM_EPOCHS, finished=[{1: 0.9, 2: 0.9, 3: 0.9}, {1: 0.8, 2: 0.8, 3: 0.8}])
    going_on = add(scheduler, trial("late", earlier=[(1, 0.1), (2, 0.1), (3, 0.1), (4, 0.1)]))

    told = run(scheduler, going_on, [0.1] * 8, first=5)

    assert max(told) == 8
    assert dict(scheduler.rungs()) == {1: 3, 3: 3, 9: 0}


def test_a_diverged_trial_leaves_no_trace_in_a_rung() -> None:
    scheduler = RememberingASHA(num_epochs=NUM_EPOCHS)
    diverged = add(scheduler, trial("wild"))

    scheduler.on_trial_complete(None, diverged, {"best_skill": float("nan"), "epoch": 1})

    assert dict(scheduler.rungs()) == {1: 0, 3: 0, 9: 0}


def test_the_worse_of_two_is_stopped_at_the_first_rung() -> None:
    scheduler = RememberingASHA(num_epochs=NUM_EPOCHS)
    run(scheduler, add(scheduler, trial("good")), [0.5] * 9)

    told = run(scheduler, add(scheduler, trial("bad")), [0.1] * 9)

    assert told == {1: 0.1}


@given(curves=CURVES)
def test_the_same_trials_are_stopped_as_by_rays_own_asha(curves: list[list[float]]) -> None:
    ours = RememberingASHA(num_epochs=NUM_EPOCHS)
    rays = ASHAScheduler(
        time_attr="epoch", metric="best_skill", mode="max", max_t=NUM_EPOCHS, grace_period=1, reduction_factor=3
    )

    told = [
        [run(scheduler, add(scheduler, trial(f"t{number}")), curve) for number, curve in enumerate(curves)]
        for scheduler in (ours, rays)
    ]

    assert told[0] == told[1]
