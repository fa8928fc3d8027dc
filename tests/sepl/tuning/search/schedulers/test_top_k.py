"""One epoch each, then the best few to the end."""

from hypothesis import given
from hypothesis import strategies as st

from sepl.tuning.search.schedulers.base import Decision
from sepl.tuning.search.schedulers.top_k import TopK


@given(order=st.permutations(range(8)))
def test_the_best_go_on_when_the_last_has_had_its_epoch(order: list[int]) -> None:
    scheduler = TopK(num_epochs=5, num_kept=2)
    for trial, rank in enumerate(order):
        scheduler.enter(trial)
        assert scheduler.next_resumable(is_draining=True) is None
        assert scheduler.report(trial, 1, float(rank)) is Decision.PAUSE

    named = [scheduler.next_resumable(is_draining=True) for _ in range(3)]

    assert named == [order.index(7), order.index(6), None]
    assert scheduler.report(order.index(7), 2, 9.0) is Decision.CONTINUE
    assert scheduler.report(order.index(7), 5, 9.0) is Decision.STOP


def test_none_goes_on_while_new_ones_may_begin() -> None:
    scheduler = TopK(num_epochs=5, num_kept=1)
    scheduler.enter(0)
    scheduler.report(0, 1, 0.5)

    assert scheduler.next_resumable(is_draining=False) is None


def test_a_resumed_scheduler_does_not_run_more_than_its_number_to_the_end() -> None:
    scheduler = TopK(num_epochs=3, num_kept=1)
    scheduler.enter(0, [(1, 0.5), (2, 0.5), (3, 0.6)], "ended")
    scheduler.enter(1, [(1, 0.4)], "paused")

    assert scheduler.next_resumable(is_draining=True) is None
    assert scheduler.rungs() == [(1, 2), (3, 1)]


def test_a_trial_paused_before_the_rung_goes_on_to_it() -> None:
    scheduler = TopK(num_epochs=9, grace_epochs=3, num_kept=1)
    scheduler.enter(0, [(1, 0.5)], "paused")

    assert scheduler.next_resumable(is_draining=False) == 0
