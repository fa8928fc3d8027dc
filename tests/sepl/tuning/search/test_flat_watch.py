"""Which trials are weighed when a search is asked whether it has become flat."""

from types import SimpleNamespace
from typing import Any

from optuna.trial import TrialState, create_trial

from sepl.tuning.search.budget import FLAT, Budget
from sepl.tuning.search.flat_watch import FlatWatch, flatness_of
from sepl.tuning.search.flatness import PatientCounts

PATIENTS = PatientCounts({"age": "regression"}, {"age": (100, 0)})


def trial(skill: float, state: TrialState = TrialState.COMPLETE, /, **attributes: Any) -> Any:
    return create_trial(
        state=state,
        value=skill if state == TrialState.COMPLETE else None,
        intermediate_values={1: skill},
        user_attrs={"skills": {"age": skill}, **attributes},
    )


def watch_of(trials: list[Any], budget: Budget, num_trials: int = 20) -> FlatWatch:
    searcher: Any = SimpleNamespace(study=SimpleNamespace(get_trials=lambda deepcopy: trials))
    return FlatWatch(searcher, budget, PATIENTS, num_trials=num_trials)


def test_a_flat_search_spends_its_budget_and_says_why() -> None:
    budget = Budget()

    watch_of([trial(0.5) for _ in range(12)], budget).on_trial_complete()

    assert budget.stop_all()
    assert str(budget.reason).startswith(f"{FLAT} (expected gain 0.0000, noise 0.0")


def test_a_search_that_gains_goes_on() -> None:
    budget = Budget()

    watch_of([trial(0.05 * place) for place in range(12)], budget).on_trial_complete()

    assert budget.flatness is not None
    assert not budget.stop_all()


def test_without_a_full_run_nothing_is_flat() -> None:
    assert flatness_of([trial(0.5, TrialState.PRUNED) for _ in range(30)], 20, PATIENTS) is None


def test_another_studys_trials_and_failed_ones_are_not_weighed() -> None:
    own = [trial(0.5) for _ in range(11)]
    others = [trial(0.5, from_study="before") for _ in range(5)]
    failed = [trial(0.5, TrialState.FAIL) for _ in range(5)]

    assert flatness_of([*own, *others, *failed], 20, PATIENTS) is None
    assert flatness_of([*own, trial(0.5)], 20, PATIENTS) is not None


def test_the_error_that_the_best_trial_told_is_the_noise() -> None:
    trials = [*(trial(0.4, skill_error=9.0) for _ in range(12)), trial(0.5, skill_error=0.25)]

    flatness = flatness_of(trials, 20, PATIENTS)

    assert flatness is not None
    assert flatness.noise == 0.25


def test_the_tenth_is_of_what_the_budget_leaves_room_for() -> None:
    """Of 1,000 trials asked for, time is left for the 24 that there are: a tenth of them is three."""
    budget = Budget(seconds=1e-9)
    trials = [trial(0.5) for _ in range(24)]

    watch_of(trials, budget, num_trials=1000).on_trial_complete()

    assert budget.flatness is not None
