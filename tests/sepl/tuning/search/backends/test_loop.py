"""A whole search in simulated time."""

import math
from collections.abc import Callable
from typing import Any, get_args

import pytest
from optuna.trial import TrialState
from writers.curve_tables import NUM_EPOCHS, end_skill

from sepl.tuning.search.backends.curve_table import CurveTable
from sepl.tuning.search.budget import Budget
from sepl.tuning.search.schedulers.build import SchedulerName, make_scheduler

Make = Callable[..., Any]


@pytest.mark.parametrize("num_workers", [1, 4])
@pytest.mark.parametrize("name", get_args(SchedulerName))
def test_every_trial_is_told_with_all_it_had_and_none_stays_open(
    make_loop: Make, table: CurveTable, name: SchedulerName, num_workers: int
) -> None:
    heard: dict[int, dict[int, float]] = {}
    scheduler = make_scheduler(name, num_epochs=NUM_EPOCHS, num_trials=30)
    loop, searcher, _ = make_loop(
        table,
        scheduler,
        num_new=30,
        num_workers=num_workers,
        on_result=lambda trial, told: heard.setdefault(trial, {}).update({told["epoch"]: told["best_skill"]}),
    )

    loop.run()

    trials = searcher.study.trials
    assert {trial.number: trial.intermediate_values for trial in trials} == heard
    assert len(trials) == 30
    for trial in trials:
        is_whole = len(heard[trial.number]) == NUM_EPOCHS
        assert trial.state == (TrialState.COMPLETE if is_whole else TrialState.PRUNED)
    assert any(trial.state == TrialState.COMPLETE for trial in trials)


@pytest.mark.parametrize("name", get_args(SchedulerName))
def test_the_best_of_those_tried_runs_to_the_end(make_loop: Make, table: CurveTable, name: SchedulerName) -> None:
    loop, searcher, _ = make_loop(
        table, make_scheduler(name, num_epochs=NUM_EPOCHS, num_trials=60), num_new=60, num_workers=2
    )

    loop.run()

    assert searcher.study.best_value == max(end_skill(config) for config in range(60))


@pytest.mark.parametrize("name", get_args(SchedulerName))
def test_a_planted_bad_setting_costs_an_epoch(make_loop: Make, table: CurveTable, name: SchedulerName) -> None:
    loop, searcher, _ = make_loop(table, make_scheduler(name, num_epochs=NUM_EPOCHS, num_trials=60), num_new=60)

    loop.run()

    epochs = {trial.user_attrs["config"]["row"]: len(trial.intermediate_values) for trial in searcher.study.trials}
    assert epochs[0] == 1
    assert sum(epochs.values()) < 60 * 3


def test_a_spent_budget_ends_the_search_and_cuts_off_what_runs(make_loop: Make, table: CurveTable) -> None:
    loop, searcher, backend = make_loop(
        table, make_scheduler("promotion", num_epochs=NUM_EPOCHS, num_trials=60), num_new=60, num_workers=3
    )
    loop._budget = Budget(seconds=20.0, clock=lambda: backend.now)

    loop.run()

    assert 20.0 <= backend.now < 24.0
    assert all(trial.state.is_finished() for trial in searcher.study.trials)


def test_a_trial_that_fails_ends_alone(make_loop: Make, table: CurveTable) -> None:
    loop, searcher, backend = make_loop(
        table, make_scheduler("promotion", num_epochs=NUM_EPOCHS, num_trials=9), num_new=9
    )
    hear = backend.next_result

    def fail_third() -> tuple[int, dict[str, Any]]:
        trial, result = hear()
        return trial, {"best_skill": math.nan, "failure": "it diverged"} if trial == 2 else dict(result)

    backend.next_result = fail_third

    loop.run()

    states = [trial.state for trial in searcher.study.trials]
    assert states.count(TrialState.FAIL) == 1
    assert states[2] == TrialState.FAIL
    assert searcher.study.trials[2].user_attrs["failure"] == "it diverged"
