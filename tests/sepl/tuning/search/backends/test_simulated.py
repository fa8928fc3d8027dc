"""Time that is only counted."""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from writers.curve_tables import write_table

from sepl.tuning.search.backends.curve_table import CurveTable
from sepl.tuning.search.backends.simulated import SimulatedBackend, TrainedCurve
from sepl.tuning.search.schedulers.build import make_scheduler


def config(trial: int, row: int) -> dict[str, Any]:
    return {"number": trial, "params": {"row": row}}


def test_epochs_end_in_the_order_of_their_seconds() -> None:
    curves = [TrainedCurve([0.1, 0.2], [3.0, 3.0]), TrainedCurve([0.3, 0.4], [2.0, 2.0])]
    backend = SimulatedBackend(curves, num_workers=2)
    backend.start(config(7, 0))
    backend.start(config(8, 1))
    heard = []
    for _ in range(4):
        trial, result = backend.next_result()
        heard.append((backend.now, trial, result["epoch"], result["best_skill"]))
        if result["is_last"]:
            backend.end(trial, is_kept=False)
        else:
            backend.go_on(trial)

    assert heard == [(2.0, 8, 1, 0.3), (3.0, 7, 1, 0.1), (4.0, 8, 2, 0.4), (6.0, 7, 2, 0.2)]


def test_a_trial_that_was_kept_goes_on_where_it_stood() -> None:
    backend = SimulatedBackend([TrainedCurve([0.1, 0.2], [1.0, 5.0])])
    backend.start(config(0, 0))
    backend.next_result()
    backend.end(0, is_kept=True)

    backend.start(config(0, 0))

    assert backend.next_result()[1]["epoch"] == 2
    assert backend.now == 6.0


def test_a_setting_that_diverged_fails_at_the_epoch_at_which_it_did() -> None:
    backend = SimulatedBackend([TrainedCurve([0.1, math.nan], [1.0, 5.0])])
    backend.start(config(0, 0))
    backend.next_result()
    backend.go_on(0)

    _, result = backend.next_result()

    assert math.isnan(result["best_skill"])
    assert result["failure"] == "it diverged"


@pytest.mark.parametrize("scheduler", ["asha", "pasha"])
def test_a_trial_at_the_end_of_a_thousand_costs_the_driver_what_one_at_the_beginning_did(
    make_loop: Callable[..., Any], tmp_path: Path, scheduler: Any
) -> None:
    """Counted in calls, with random proposals: what a sampler does with its history is its own."""
    table = CurveTable.read(write_table(tmp_path / "table.parquet", 1000))
    loop, searcher, _ = make_loop(
        table, make_scheduler(scheduler, num_epochs=9, num_trials=1000), num_new=1000, num_workers=4
    )
    costs = []
    for end in (100, 900):
        while len(searcher.study.get_trials(deepcopy=False)) < end:
            loop.step()
        costs.append(num_calls(loop.step, num_times=200))
    while loop.step():
        pass

    assert len(searcher.study.get_trials(deepcopy=False)) == 1000
    assert costs[1] <= 1.5 * costs[0]


def num_calls(work: Callable[[], object], *, num_times: int) -> int:
    """Of Python functions."""
    num = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal num
        num += event == "call"

    sys.setprofile(count)
    try:
        for _ in range(num_times):
            work()
    finally:
        sys.setprofile(None)
    return num


def test_a_driver_keeps_nothing_of_a_trial_that_is_over(make_loop: Callable[..., Any], table: CurveTable) -> None:
    loop, searcher, backend = make_loop(table, make_scheduler("asha", num_epochs=9, num_trials=60), num_new=60)

    loop.run()

    assert (searcher._trials, searcher._paused, backend._epochs, backend._rows, loop._ids) == ({}, {}, {}, {}, {})
