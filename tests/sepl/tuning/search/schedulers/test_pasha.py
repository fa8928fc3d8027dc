"""The cap grows only while longer training changes the order."""

import pytest

from sepl.tuning.search.schedulers.base import Decision
from sepl.tuning.search.schedulers.pasha import PASHA, crossing_noise, soft_ranks_agree

NUM_EPOCHS = 27


def reach_cap(scheduler: PASHA, skills: list[tuple[float, float]]) -> None:
    """Trials with these skills at epochs 1 and 3, heard from the best; a third of them comes to the cap."""
    for trial, (first, _) in sorted(enumerate(skills), key=lambda one: -one[1][0]):
        scheduler.enter(trial)
        scheduler.report(trial, 1, first)
    while (trial := scheduler.next_resumable(is_draining=False)) is not None:
        assert scheduler.report(trial, 3, skills[trial][1]) is not Decision.STOP


def test_the_cap_stays_where_the_order_stays() -> None:
    scheduler = PASHA(num_epochs=NUM_EPOCHS)

    reach_cap(scheduler, [(0.1 * trial, 0.1 * trial + 0.3) for trial in range(9)])

    assert scheduler.max_epochs() == 3
    assert scheduler.rungs() == [(1, 9), (3, 3), (9, 0), (27, 0)]


def test_the_cap_grows_where_the_order_turns() -> None:
    scheduler = PASHA(num_epochs=NUM_EPOCHS)

    reach_cap(scheduler, [(0.1 * trial, 2.0 - 0.1 * trial) for trial in range(9)])

    assert scheduler.max_epochs() == 9


def test_trials_closer_than_the_noise_may_change_places() -> None:
    lower, upper = [0.50, 0.52, 0.10], [0.62, 0.60, 0.20]

    assert not soft_ranks_agree(lower, upper, noise=0.0)
    assert soft_ranks_agree(lower, upper, noise=0.03)


def test_the_noise_is_the_distance_of_trials_that_overtook_each_other_and_back() -> None:
    winding, level = {1: 0.1, 2: 0.3, 3: 0.35}, {1: 0.2, 2: 0.2, 3: 0.45}
    rising = {1: 0.0, 2: 0.5, 3: 0.9}

    assert crossing_noise([winding, level], 3) == pytest.approx(0.1)
    assert crossing_noise([level, rising], 3) == 0.0


def test_the_noise_of_no_trial_is_none() -> None:
    assert crossing_noise([], 3) == 0.0
