"""When a study stops before its number of trials."""

import math

import pytest

from sepl.errors import ConfigError
from sepl.tuning.search.budget import Budget, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("45s", 45), ("90m", 5400), ("2h", 7200), ("1h30m", 5400), ("0.5h", 1800), ("1d", 86400)]
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "2 h", "2w", "-1h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--time-budget should be like"):
        parse_duration(text)


def test_without_a_limit_nothing_is_ever_spent() -> None:
    budget = Budget()
    budget("a", {"best_skill": 0.1, "time_this_iter_s": 1e9})

    assert not budget.stop_all()


def test_the_gpu_time_of_all_trials_counts() -> None:
    budget = Budget(gpu_seconds=10.0, gpus_per_trial=0.5)
    budget("a", {"best_skill": 0.1, "time_this_iter_s": 12.0})
    assert not budget.stop_all()

    budget("b", {"best_skill": 0.1, "time_this_iter_s": 8.0})

    assert budget.reason == "the GPU budget is spent"


def test_a_time_budget_that_is_over_stops_the_study() -> None:
    assert Budget(seconds=0.0).reason == "the time budget is spent"


def test_failures_from_the_start_stop_the_study_and_are_remembered() -> None:
    budget = Budget()
    for _ in range(5):
        assert not budget.stop_all()
        budget("a", {"best_skill": math.nan, "failure": "no such backbone"})

    assert budget.stop_all()
    assert budget.failure == "no such backbone"


def test_one_success_makes_later_failures_single_ones() -> None:
    budget = Budget()
    budget("a", {"best_skill": 0.1})
    for _ in range(100):
        budget.note_failure("crashed")

    assert not budget.stop_all()
    assert budget.failure is None
