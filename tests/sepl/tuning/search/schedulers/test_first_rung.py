"""The first rung where early skill says something."""

import pytest

from sepl.tuning.search.schedulers.asha import ASHA
from sepl.tuning.search.schedulers.base import Decision
from sepl.tuning.search.schedulers.first_rung import ReliableFirstRung, first_epoch_after_warmup
from sepl.tuning.search.schedulers.promotion import PromotionASHA
from sepl.tuning.search.schedulers.rung_reliability import LEAST_TRIALS

NUM_EPOCHS = 9


def turning_curve(trial: int) -> list[tuple[int, float]]:
    """The first epoch says the contrary of what the others say."""
    return [(1, -float(trial)), *((epoch, float(trial)) for epoch in range(2, NUM_EPOCHS + 1))]


def test_the_first_rung_moves_to_where_order_is_kept_and_nothing_told_is_lost() -> None:
    scheduler = ReliableFirstRung(
        lambda grace: ASHA(num_epochs=NUM_EPOCHS, grace_epochs=grace), num_epochs=9, least_epochs=1
    )
    scheduler.enter(100, [(1, 0.5)], "ended")
    for trial in range(LEAST_TRIALS):
        assert scheduler.rungs()[0] == (1, trial + 1)
        scheduler.enter(trial, turning_curve(trial), "ended")

    assert scheduler.rungs() == [(2, LEAST_TRIALS), (6, LEAST_TRIALS)]
    assert scheduler.report(200, 1, -9.0) is Decision.CONTINUE
    assert scheduler.report(200, 2, -9.0) is Decision.STOP


def test_a_trial_paused_before_the_new_first_rung_goes_on_to_it() -> None:
    scheduler = ReliableFirstRung(
        lambda grace: PromotionASHA(num_epochs=NUM_EPOCHS, grace_epochs=grace), num_epochs=NUM_EPOCHS, least_epochs=1
    )
    scheduler.enter(100)
    assert scheduler.report(100, 1, -50.0) is Decision.PAUSE

    for trial in range(LEAST_TRIALS):
        scheduler.enter(trial, turning_curve(trial), "ended")

    assert scheduler.next_resumable(is_draining=False) == 100
    assert scheduler.report(100, 2, -50.0) is Decision.PAUSE


@pytest.mark.parametrize(
    ("num_epochs", "warmup_epochs", "first"), [(30, 0.0, 1), (30, 1.0, 1), (30, 2.5, 3), (4, 3.0, 2), (1, 1.0, 1)]
)
def test_the_first_rung_is_not_within_the_warm_up(num_epochs: int, warmup_epochs: float, first: int) -> None:
    assert first_epoch_after_warmup(num_epochs, warmup_epochs) == first
