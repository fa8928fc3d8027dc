"""When a study is over, and when it can still go on."""

from pathlib import Path

import pytest
from optuna.storages import RDBStorage

from sepl.errors import StudyError
from sepl.tuning.ending import end_study, is_over, reopen
from sepl.tuning.record.record import BUNDLE_ID, ENDED
from sepl.tuning.search.budget import Budget
from sepl.tuning.search.searcher import TruthfulOptunaSearch
from sepl.tuning.settings import StudySettings
from sepl.tuning.trials.environment import EnvironmentWatch

NUM_EPOCHS = 9


@pytest.fixture
def searcher(tmp_path: Path) -> TruthfulOptunaSearch:
    return TruthfulOptunaSearch(
        lambda trial: {"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2)},
        num_epochs=NUM_EPOCHS,
        storage=RDBStorage(f"sqlite:///{tmp_path}/optuna.db"),
        study_name="first",
    )


def run_a_trial(searcher: TruthfulOptunaSearch, name: str, num_epochs: int) -> None:
    searcher.suggest(name)
    searcher.on_trial_complete(name, {"epoch": num_epochs, "best_skill": 0.3})


def settings(num_trials: int) -> StudySettings:
    return StudySettings(data="", space="", storage="", study="first", num_trials=num_trials)


def end(searcher: TruthfulOptunaSearch, num_trials: int, budget: Budget | None = None) -> None:
    end_study(settings(num_trials), searcher, budget or Budget(), EnvironmentWatch())


def test_a_study_with_a_full_trial_is_over_when_its_time_is(searcher: TruthfulOptunaSearch) -> None:
    run_a_trial(searcher, "a", NUM_EPOCHS)

    end(searcher, 9, Budget(seconds=0.0))

    assert is_over(searcher.study)
    assert searcher.study.user_attrs[ENDED] == "the time budget is spent"


@pytest.mark.parametrize(
    ("num_trials", "budget", "more"),
    [
        (9, Budget(seconds=0.0), "a longer --time-budget"),
        (9, Budget(gpu_seconds=0.0), "more --gpu-hours"),
        (1, Budget(), "a larger --num-trials"),
    ],
)
def test_without_a_full_trial_it_can_go_on_with_more(
    searcher: TruthfulOptunaSearch, num_trials: int, budget: Budget, more: str
) -> None:
    run_a_trial(searcher, "a", 1)

    with pytest.raises(StudyError, match=f"no trial ran to the end; --resume it with {more}"):
        end(searcher, num_trials, budget)

    assert not is_over(searcher.study)


def test_a_trial_that_the_time_cut_off_waits_when_there_is_no_full_one(searcher: TruthfulOptunaSearch) -> None:
    searcher.suggest("a")
    searcher.on_trial_result("a", {"epoch": 1, "best_skill": 0.3})
    searcher.release()

    with pytest.raises(StudyError, match="no trial ran to the end"):
        end(searcher, 9, Budget(seconds=0.0))

    (trial,) = searcher.study.trials
    assert not trial.state.is_finished()
    assert trial.intermediate_values == {1: 0.3}


def test_a_study_that_a_former_version_ended_without_a_full_trial_is_not_over(searcher: TruthfulOptunaSearch) -> None:
    run_a_trial(searcher, "a", 1)
    searcher.study.set_user_attr(ENDED, "the time budget is spent")

    assert not is_over(searcher.study)


def test_an_interrupted_study_is_not_over(searcher: TruthfulOptunaSearch) -> None:
    run_a_trial(searcher, "a", NUM_EPOCHS)

    end(searcher, 9)

    assert not is_over(searcher.study)


def test_more_trials_than_were_asked_for_open_a_search_that_has_ended(searcher: TruthfulOptunaSearch) -> None:
    run_a_trial(searcher, "a", NUM_EPOCHS)
    end(searcher, 1)

    reopen(searcher.study, 1, was_tested=False)
    same = is_over(searcher.study)
    reopen(searcher.study, 2, was_tested=False)

    assert same
    assert not is_over(searcher.study)


def test_a_search_that_its_time_ended_opens_for_more_than_was_asked_and_not_for_what_was_left(
    searcher: TruthfulOptunaSearch,
) -> None:
    run_a_trial(searcher, "a", NUM_EPOCHS)
    end(searcher, 9, Budget(seconds=0.0))

    reopen(searcher.study, 9, was_tested=False)  # the refit was interrupted, and the same command goes on with it
    same = is_over(searcher.study)
    reopen(searcher.study, 10, was_tested=False)

    assert same
    assert not is_over(searcher.study)


@pytest.mark.parametrize("is_published", [True, False])
def test_after_the_test_a_search_stays_over(searcher: TruthfulOptunaSearch, is_published: bool) -> None:
    run_a_trial(searcher, "a", NUM_EPOCHS)
    end(searcher, 1)
    if is_published:
        searcher.study.set_user_attr(BUNDLE_ID, "first-0123456789ab")

    reopen(searcher.study, 99, was_tested=not is_published)

    assert is_over(searcher.study)
