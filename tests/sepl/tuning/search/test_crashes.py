"""Trials whose process died."""

from types import SimpleNamespace
from typing import Any, cast

from sepl.tuning.search.budget import Budget
from sepl.tuning.search.crashes import CrashCounter


def test_a_crashed_trial_is_remembered_with_its_reason() -> None:
    budget = Budget()
    searcher: Any = SimpleNamespace(death_of=lambda trial_id: f"{trial_id} was killed")

    CrashCounter(budget, searcher).on_trial_error(1, [], SimpleNamespace(trial_id="a"))

    assert budget.failure == "its process crashed: a was killed"


def test_crashes_count_since_the_trial_last_came_further() -> None:
    counter, searcher = Budget(), cast(Any, None)
    trial = SimpleNamespace(trial_id="a", run_metadata=SimpleNamespace(num_failures=1))
    crashes = CrashCounter(counter, searcher)

    crashes.on_trial_result(1, [], trial, {"epoch": 2})
    after_progress = trial.run_metadata.num_failures
    trial.run_metadata.num_failures = 1
    crashes.on_trial_result(1, [], trial, {"epoch": 2})  # again, from the checkpoint before

    assert (after_progress, trial.run_metadata.num_failures) == (0, 1)
