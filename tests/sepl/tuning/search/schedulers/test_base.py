"""Laws that every scheduler keeps."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.tuning.search.schedulers.base import Decision
from sepl.tuning.search.schedulers.build import SchedulerName, make_scheduler

NUM_EPOCHS = 9


@pytest.mark.parametrize("grace_epochs", [1, "auto"])
@pytest.mark.parametrize("name", get_args(SchedulerName))
@given(skills=st.lists(st.floats(-1, 1), min_size=1, max_size=15), seed=st.randoms(use_true_random=False))
def test_every_trial_comes_to_an_end_and_at_least_one_to_the_last_epoch(
    name: SchedulerName, grace_epochs: int, skills: list[float], seed: object
) -> None:
    """Whatever the order in which two workers are heard."""
    scheduler = make_scheduler(name, num_epochs=NUM_EPOCHS, num_trials=len(skills), grace_epochs=grace_epochs)
    epochs, running, new = [0] * len(skills), [], list(range(len(skills)))
    while True:
        while len(running) < 2:
            trial = scheduler.next_resumable(is_draining=not new)
            if trial is None and new:
                trial = new.pop(0)
                scheduler.enter(trial)
            if trial is None:
                break
            assert trial not in running
            running.append(trial)
        if not running:
            break
        trial = seed.choice(running)  # type: ignore[attr-defined]
        epochs[trial] += 1
        decision = scheduler.report(trial, epochs[trial], skills[trial])
        assert decision is Decision.STOP or epochs[trial] < NUM_EPOCHS
        if decision is not Decision.CONTINUE:
            running.remove(trial)
        if decision is Decision.STOP:
            scheduler.end(trial)

    assert max(epochs) == NUM_EPOCHS
    assert min(epochs) >= 1
    assert scheduler.max_epochs() <= NUM_EPOCHS
