"""What a person reads of a running study: a line a finished trial, once, with the counts and the time left."""

import io
import itertools
import pickle
import re
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.storages import RDBStorage
from rich.console import Console

from sepl.tuning.progress import StudyProgress, clock, describe_trial
from sepl.tuning.results.leaderboard import TrialRow
from sepl.tuning.search.budget import Budget
from sepl.tuning.search.names import METRIC
from sepl.tuning.search.schedulers.asha import ASHA
from sepl.tuning.search.searcher import TruthfulOptunaSearch

NUM_EPOCHS, NUM_TRIALS = 9, 4
_NUMBERS = itertools.count()


def define(trial: optuna.Trial) -> dict[str, Any]:
    trial.suggest_categorical("num_experts", [2])
    return {"batch_size": 16}


@pytest.fixture(scope="module")
def database() -> RDBStorage:
    return RDBStorage("sqlite:///:memory:")


@pytest.fixture
def searcher(database: RDBStorage) -> TruthfulOptunaSearch:
    return TruthfulOptunaSearch(define, num_epochs=NUM_EPOCHS, storage=database, study_name=f"study-{next(_NUMBERS)}")


def finish(searcher: TruthfulOptunaSearch, trial_id: str, num_epochs: int = NUM_EPOCHS, **more: Any) -> None:
    """As Tune does; with a failure the trial reports it in place of a skill."""
    searcher.suggest(trial_id)
    results = [{"epoch": epoch, METRIC: 0.5, "time_this_iter_s": 2.0} for epoch in range(1, num_epochs + 1)]
    for result in results[:-1]:
        searcher.on_trial_result(trial_id, result)
    searcher.on_trial_complete(trial_id, {**results[-1], **more})


def progress(searcher: TruthfulOptunaSearch, budget: Budget | None = None, **of_console: Any) -> StudyProgress:
    console = Console(file=io.StringIO(), width=200, highlight=False, **of_console)
    scheduler = ASHA(num_epochs=NUM_EPOCHS)
    return StudyProgress(searcher, scheduler, budget or Budget(), num_trials=NUM_TRIALS, console=console)


def told(shown: StudyProgress) -> list[str]:
    file = shown._console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue().splitlines()


def row(**changes: Any) -> TrialRow:
    values: dict[str, Any] = {
        "number": 7,
        "state": "complete",
        "best_skill": 0.25,
        "num_epochs": 3,
        "best_epoch": 2,
        "seconds": 1.0,
        "params": {"num_experts": 2, "dropout": 0.1},
        "config": {},
        "curve": {},
        "skills": {},
        "failure": None,
    }
    return TrialRow(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "trial 7 ran to the end, skill 0.250, num_experts 2"),
        ({"state": "pruned"}, "trial 7 stopped at epoch 3, skill 0.250, num_experts 2"),
        ({"state": "failed", "failure": "loss of age", "best_skill": None}, "trial 7 failed: loss of age"),
    ],
)
def test_a_line_says_what_became_of_a_trial(changes: dict[str, Any], line: str) -> None:
    assert describe_trial(row(**changes)) == line


@given(seconds=st.floats(0.0, 1e6))
def test_a_time_is_told_to_the_second_or_beyond_an_hour_to_the_minute(seconds: float) -> None:
    text = clock(seconds)

    hours = re.fullmatch(r"(\d+) h (\d\d) min", text)
    minutes = re.fullmatch(r"(\d+):(\d\d) min", text)
    found = hours or minutes
    assert found is not None
    large, small = map(int, found.groups())
    assert small < 60
    assert (hours is not None) == (round(seconds) >= 3600)
    unit = 60 if hours else 1
    assert 0 <= round(seconds) - unit * (60 * large + small) < unit


def test_each_finished_trial_is_told_once(searcher: TruthfulOptunaSearch) -> None:
    shown = progress(searcher)

    finish(searcher, "a")
    shown.on_trial_complete()
    shown.on_trial_start()
    finish(searcher, "b", num_epochs=3)
    shown.on_trial_error()

    first, second = told(shown)
    assert first.startswith("trial 0 ran to the end, skill 0.500, num_experts 2 | 1/4 finished, 0 running, about ")
    assert second.startswith("trial 1 stopped at epoch 3, skill 0.500, num_experts 2 | 2/4 finished")


def test_trials_of_an_earlier_driver_are_counted_and_not_told_again(searcher: TruthfulOptunaSearch) -> None:
    finish(searcher, "a")
    shown = progress(searcher)
    searcher.suggest("b")

    shown.on_trial_start()
    assert told(shown) == []
    finish(searcher, "c")
    shown.on_trial_complete()

    (line,) = told(shown)
    assert line.startswith("trial 2 ran to the end")
    assert "| 2/4 finished, 1 running" in line


def test_the_worth_of_rungs_is_told_and_again_with_twice_as_many_trials(searcher: TruthfulOptunaSearch) -> None:
    shown = progress(searcher)
    for number in range(20):
        finish(searcher, f"t{number}")
        shown.on_trial_complete()

    lines = [line for line in told(shown) if line.startswith("rank correlation with late epochs  epoch 1: 0.00 (")]
    assert len(lines) == 2


def test_nothing_is_known_of_the_time_left_before_a_trial_ends(searcher: TruthfulOptunaSearch) -> None:
    assert progress(searcher)._time_left() == "time left unknown"


def test_the_time_left_is_never_beyond_the_budget(searcher: TruthfulOptunaSearch) -> None:
    shown = progress(searcher, Budget(seconds=0.0))

    assert shown._time_left() == "about 0:00 min left"


def test_a_terminal_has_a_panel_and_lines_for_failures_alone(searcher: TruthfulOptunaSearch) -> None:
    shown = progress(searcher, force_terminal=True)
    finish(searcher, "a")
    finish(searcher, "b", failure="loss of age is not finite")

    shown.on_trial_result()
    shown.on_trial_complete()

    assert told(shown) == ["trial 1 failed: loss of age is not finite"]
    panel = Console(file=io.StringIO(), width=120)
    panel.print(shown._panel())
    file = panel.file
    assert isinstance(file, io.StringIO)
    text = file.getvalue()
    assert "2/4 trials" in text
    assert "1 complete" in text
    assert "1 failed" in text
    assert "best skill  0.500, num_experts 2" in text
    assert "1 epochs" in text


def test_a_panel_before_the_first_epoch_has_no_best(searcher: TruthfulOptunaSearch) -> None:
    panel = Console(file=(file := io.StringIO()), width=120)

    panel.print(progress(searcher)._panel())

    assert "best skill  none yet" in file.getvalue()


def test_tune_can_pickle_it(searcher: TruthfulOptunaSearch) -> None:
    assert isinstance(pickle.loads(pickle.dumps(progress(searcher))), StudyProgress)
