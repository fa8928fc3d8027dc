"""What Optuna is told, driven by the calls that Tune makes."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from sepl.tuning.results.leaderboard import leaderboard
from sepl.tuning.search.names import IS_LAST, METRIC
from sepl.tuning.search.searcher import TruthfulOptunaSearch

NUM_EPOCHS = 9
FIRST = {"learning_rate": 0.5}


def define(trial: optuna.Trial) -> dict[str, Any]:
    trial.suggest_float("learning_rate", 0.0, 1.0)
    return {"batch_size": 16}


Driver = Callable[[], TruthfulOptunaSearch]
"""Starts a driver of one study; calling it again is what happens after the first was killed."""

_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def database() -> RDBStorage:
    return RDBStorage("sqlite:///:memory:")


@pytest.fixture
def driver(database: RDBStorage) -> Driver:
    return new_study(database)


@pytest.fixture
def searcher(driver: Driver) -> TruthfulOptunaSearch:
    return driver()


def new_study(database: RDBStorage) -> Driver:
    name = f"study-{next(_NUMBERS)}"
    return lambda: TruthfulOptunaSearch(
        define, num_epochs=NUM_EPOCHS, storage=database, study_name=name, first_points=(FIRST,)
    )


def result(epoch: int, skill: float, **more: Any) -> dict[str, Any]:
    return {"epoch": epoch, METRIC: skill, "time_this_iter_s": 2.0, **more}


def run(searcher: TruthfulOptunaSearch, trial_id: str, skills: list[float]) -> None:
    """As Tune does: the last result goes to on_trial_complete alone."""
    for epoch, skill in enumerate(skills[:-1], start=1):
        searcher.on_trial_result(trial_id, result(epoch, skill))
    searcher.on_trial_complete(trial_id, result(len(skills), skills[-1]))


def only_trial(searcher: TruthfulOptunaSearch) -> optuna.trial.FrozenTrial:
    (trial,) = searcher.study.trials
    return trial


def test_a_trial_that_ran_all_its_epochs_is_complete_with_its_best_skill(searcher: TruthfulOptunaSearch) -> None:
    searcher.suggest("a")

    run(searcher, "a", [epoch / 10 for epoch in range(1, NUM_EPOCHS + 1)])

    assert only_trial(searcher).state == TrialState.COMPLETE
    assert only_trial(searcher).value == 0.9


def test_a_trial_stopped_early_is_pruned_with_every_value_up_to_the_one_it_was_stopped_at(
    searcher: TruthfulOptunaSearch,
) -> None:
    searcher.suggest("a")

    run(searcher, "a", [0.1, 0.2, 0.3])

    assert only_trial(searcher).state == TrialState.PRUNED
    assert only_trial(searcher).intermediate_values == {1: 0.1, 2: 0.2, 3: 0.3}


def test_a_trial_that_ended_itself_early_is_complete(searcher: TruthfulOptunaSearch) -> None:
    searcher.suggest("a")
    searcher.on_trial_result("a", result(1, 0.4))

    searcher.on_trial_complete("a", result(2, 0.4, **{IS_LAST: True}))

    assert only_trial(searcher).state == TrialState.COMPLETE
    assert only_trial(searcher).value == 0.4


def test_a_trial_judged_on_known_values_keeps_both_skills(searcher: TruthfulOptunaSearch) -> None:
    searcher.suggest("a")

    searcher.on_trial_complete("a", result(1, 0.4, unknown_skill=0.3, known_skill=0.5, **{IS_LAST: True}))

    (row,) = leaderboard(searcher.study).root
    assert (row.best_skill, row.unknown_skill, row.known_skill) == (0.4, 0.3, 0.5)


def test_a_diverged_trial_fails_and_says_why(searcher: TruthfulOptunaSearch) -> None:
    searcher.suggest("a")
    searcher.on_trial_result("a", result(1, 0.1))

    searcher.on_trial_complete("a", {METRIC: math.nan, "failure": "loss of age is not finite", "done": True})

    assert only_trial(searcher).state == TrialState.FAIL
    assert only_trial(searcher).user_attrs["failure"] == "loss of age is not finite"


def test_a_trial_that_crashed_for_good_fails(searcher: TruthfulOptunaSearch) -> None:
    searcher.suggest("a")

    searcher.on_trial_complete("a", error=True)

    assert only_trial(searcher).state == TrialState.FAIL


def test_a_crashed_trial_says_how_it_died_and_may_be_tried_again_once(searcher: TruthfulOptunaSearch) -> None:
    searcher.suggest("a")
    searcher.note_death("a", "killed by the kernel")
    searcher.on_trial_complete("a", error=True)

    num_retries = [searcher.retry_failed(), searcher.retry_failed()]

    again = searcher.suggest("b")
    crashed, _ = searcher.study.trials
    assert num_retries == [1, 0]
    assert again["params"]["learning_rate"] == crashed.params["learning_rate"]
    assert crashed.user_attrs["failure"] == "its process crashed: killed by the kernel"
    assert searcher.num_beside() == 1


def test_a_trial_that_diverged_is_not_tried_again(searcher: TruthfulOptunaSearch) -> None:
    searcher.suggest("a")
    searcher.on_trial_complete("a", {METRIC: math.nan, "failure": "loss of age is not finite", "done": True})

    assert searcher.retry_failed() == 0


def test_what_is_told_twice_counts_once(searcher: TruthfulOptunaSearch) -> None:
    searcher.suggest("a")
    run(searcher, "a", [0.1, 0.2])

    searcher.on_trial_result("a", result(2, 0.9))
    searcher.on_trial_complete("a", result(3, 0.9), error=True)

    assert only_trial(searcher).state == TrialState.PRUNED
    assert only_trial(searcher).intermediate_values == {1: 0.1, 2: 0.2}


def test_the_config_holds_what_was_searched_and_what_is_constant(searcher: TruthfulOptunaSearch) -> None:
    config = searcher.suggest("a")

    assert config is not None
    assert config["params"] == {"learning_rate": 0.5, "batch_size": 16}
    assert only_trial(searcher).user_attrs["config"] == config["params"]


def test_first_points_are_tried_first_and_never_twice(driver: Driver) -> None:
    first = driver().suggest("a")
    later = driver()

    second, third = later.suggest("b"), later.suggest("c")

    assert first is not None
    assert second is not None
    assert third is not None
    assert first["params"]["learning_rate"] == second["params"]["learning_rate"] == 0.5  # b goes on with a
    assert third["params"]["learning_rate"] != 0.5


def test_a_resumed_study_does_not_draw_its_first_random_points_again(driver: Driver) -> None:
    before = driver()
    for trial_id in "abcd":
        before.suggest(trial_id)
        run(before, trial_id, [0.1])

    after = driver()
    for trial_id in "efgh":
        after.suggest(trial_id)

    drawn = [trial.params["learning_rate"] for trial in after.study.trials]
    assert len(set(drawn)) == len(drawn)


def test_an_interrupted_trial_is_proposed_again_with_all_it_had(driver: Driver) -> None:
    killed = driver()
    config = killed.suggest("a")
    killed.on_trial_result("a", result(1, 0.1))
    killed.note_checkpoint("a", "/checkpoints/1")
    killed.on_trial_result("a", result(2, 0.2))

    again = driver().suggest("other-id")

    assert config is not None
    assert again == {
        "params": config["params"],
        "number": config["number"],
        "earlier": [(1, 0.1), (2, 0.2)],
        "resume_from": "/checkpoints/1",
    }


def test_the_time_of_an_interrupted_trial_counts_up_to_its_checkpoint(driver: Driver) -> None:
    killed = driver()
    killed.suggest("a")
    killed.on_trial_result("a", result(1, 0.1))
    killed.note_checkpoint("a", "/checkpoints/1")
    killed.on_trial_result("a", result(2, 0.2))  # lost, and run again
    resumed = driver()
    resumed.suggest("b")

    resumed.on_trial_complete("b", result(2, 0.2))

    assert only_trial(resumed).user_attrs["seconds"] == 4.0


def test_closing_prunes_what_the_budget_cut_off_and_fails_what_never_had_an_epoch(
    searcher: TruthfulOptunaSearch,
) -> None:
    searcher.suggest("a")
    searcher.suggest("b")
    searcher.on_trial_result("a", result(1, 0.1))

    searcher.close()

    assert [trial.state for trial in searcher.study.trials] == [TrialState.PRUNED, TrialState.FAIL]


def test_closing_leaves_a_first_point_that_never_started_in_the_queue(searcher: TruthfulOptunaSearch) -> None:
    searcher.close()

    assert only_trial(searcher).state == TrialState.WAITING


def test_what_waits_in_the_queue_is_shown_with_its_hyperparameters(searcher: TruthfulOptunaSearch) -> None:
    assert [row.params for row in leaderboard(searcher.study).root] == [FIRST]

    searcher.suggest("a")
    searcher.note_death("a", "killed")
    searcher.on_trial_complete("a", error=True)
    assert searcher.retry_failed() == 1

    assert [(row.state, row.params) for row in leaderboard(searcher.study).root] == [
        ("waiting", FIRST),
        ("failed", FIRST),
    ]


def test_nothing_of_the_searcher_is_in_a_pickle(searcher: TruthfulOptunaSearch) -> None:
    assert searcher.__getstate__() == {}


# One step of a study: begin a trial, an epoch of one, an ending of one, or the driver is killed and comes back.
_STEP = st.tuples(st.sampled_from(["begin", "epoch", "stop", "diverge", "crash", "kill"]), st.integers(0, 3))


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(_STEP, max_size=40))
def test_whatever_happens_no_trial_is_lost_run_twice_or_left_running(
    database: RDBStorage, steps: list[tuple[str, int]]
) -> None:
    driver = new_study(database)
    searcher, running, begun = driver(), {}, set()
    for number, (what, which) in enumerate(steps):
        if what == "begin":
            config = searcher.suggest(f"t{number}")
            assert config is not None
            running[f"t{number}"] = max((epoch for epoch, _ in config["earlier"]), default=0)
            begun.add(config["number"])
        elif what == "kill":
            searcher, running = driver(), {}
        elif running:
            _advance(searcher, running, sorted(running)[which % len(running)], what)

    finished = {trial.number for trial in searcher.study.trials if trial.state.is_finished()}
    searcher.release()
    for number in range(len(begun) - len(finished)):
        config = searcher.suggest(f"end{number}")
        assert config is not None
        assert config["number"] in begun - finished
        searcher.on_trial_complete(f"end{number}", result(NUM_EPOCHS, 0.5))

    states = {trial.number: trial.state for trial in searcher.study.trials if trial.number in begun}
    assert set(states) == begun
    assert all(state.is_finished() for state in states.values())
    for trial in searcher.study.trials:
        if trial.state == TrialState.PRUNED:
            assert max(trial.intermediate_values) < NUM_EPOCHS
        if trial.state == TrialState.COMPLETE:
            assert max(trial.intermediate_values) == NUM_EPOCHS


def _advance(searcher: TruthfulOptunaSearch, running: dict[str, int], trial_id: str, what: str) -> None:
    running[trial_id] += 1
    epoch = running[trial_id]
    if what == "epoch" and epoch < NUM_EPOCHS:
        searcher.on_trial_result(trial_id, result(epoch, 0.1))
        return
    if what in ("epoch", "stop"):
        searcher.on_trial_complete(trial_id, result(epoch, 0.1))
    elif what == "diverge":
        searcher.on_trial_complete(trial_id, {METRIC: math.nan, "failure": "diverged"})
    else:
        searcher.on_trial_complete(trial_id, error=True)
    del running[trial_id]


def test_a_paused_trial_stays_paused_over_an_interruption_and_is_pruned_when_it_never_goes_on(driver: Driver) -> None:
    killed = driver()
    killed.suggest("a")
    killed.note_checkpoint("a", "/checkpoints/1")
    killed.on_trial_complete("a", result(1, 0.1, paused=True))
    after = driver()

    assert [trial.number for trial in after.paused()] == [0]
    assert [row.state for row in leaderboard(after.study).root] == ["waiting"]
    after.retire_paused()
    assert only_trial(after).state == TrialState.PRUNED
    assert only_trial(after).intermediate_values == {1: 0.1}


def test_a_paused_trial_goes_on_with_all_it_had(searcher: TruthfulOptunaSearch) -> None:
    first = searcher.suggest("a")
    searcher.note_checkpoint("a", "/checkpoints/1")
    searcher.on_trial_complete("a", result(1, 0.1, paused=True))

    config = searcher.resume("b", 0)
    run(searcher, "b", [0.1, *[0.2] * (NUM_EPOCHS - 1)])

    assert config == {**first, "earlier": [(1, 0.1)], "resume_from": "/checkpoints/1", "part": 1}
    assert only_trial(searcher).state == TrialState.COMPLETE
    assert only_trial(searcher).value == 0.2
    assert searcher.paused() == []
