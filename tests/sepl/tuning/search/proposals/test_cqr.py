"""Quantile regression on last values."""

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState, create_trial
from writers.planted_searches import ask_quadratic, median_best, new_study, quadratic

from sepl.tuning.search.proposals.cqr import QuantileSampler, _to_fit


@pytest.mark.slow
def test_it_beats_chance_on_a_planted_search() -> None:
    assert median_best(QuantileSampler) > 0.8 * median_best(lambda seed: RandomSampler(seed=seed))


def finished(num_trials: int, seed: int = 0) -> list[FrozenTrial]:
    study = new_study(RandomSampler(seed=seed))
    for _ in range(num_trials):
        trial = study.ask()
        ask_quadratic(trial)
        study.tell(trial, quadratic(trial.params))
    return study.trials


def proposal(trials: list[FrozenTrial]) -> dict[str, object]:
    study = new_study(QuantileSampler(0))
    study.add_trials(trials)
    trial = study.ask()
    ask_quadratic(trial)
    return trial.params


def test_the_order_in_which_trials_ran_does_not_matter() -> None:
    trials = finished(25)

    shuffled = [trials[place] for place in np.random.default_rng(0).permutation(25)]

    assert proposal(shuffled) == proposal(trials)


def test_a_last_value_counts_whatever_the_rung() -> None:
    """What was stopped at the first rung is bad there: what came further lies at the other end."""
    study = new_study(QuantileSampler(0))
    for number in range(30):
        is_early = number % 3 > 0
        curve = {1: 0.2} if is_early else {1: 0.3, 3: 0.5, 9: 0.6 + number / 1000}
        study.add_trial(
            create_trial(
                state=TrialState.PRUNED if is_early else TrialState.COMPLETE,
                value=None if is_early else curve[9],
                params={"x": number / 100 if is_early else 0.7 + number / 100},
                distributions={"x": FloatDistribution(0.0, 1.0)},
                intermediate_values=curve,
            )
        )

    drawn = [study.ask(fixed_distributions={"x": FloatDistribution(0.0, 1.0)}).params["x"] for _ in range(6)]

    assert np.median(drawn) > 0.5


def test_what_runs_already_is_not_proposed_again() -> None:
    kinds = CategoricalDistribution(["a", "b", "c", "d", "e", "f"])
    study = new_study(QuantileSampler(0))
    for number in range(12):
        kind = "abc"[number % 3]
        study.add_trial(
            create_trial(value=float("abc".index(kind)), params={"kind": kind}, distributions={"kind": kinds})
        )

    drawn = [study.ask(fixed_distributions={"kind": kinds}).params["kind"] for _ in range(3)]

    assert sorted(drawn) == ["d", "e", "f"]


def test_fits_become_rarer_as_trials_become_more() -> None:
    trials = finished(60)

    sizes = [len(_to_fit(trials[:number])) for number in range(1, 61)]

    assert sizes == sorted(sizes)
    assert sizes[:20] == list(range(1, 21))
    assert len(set(sizes[20:])) < 20
    assert all(size >= number / 1.15 for number, size in enumerate(sizes, start=1))


def test_a_study_in_which_everything_failed_goes_on() -> None:
    study = new_study(QuantileSampler(0))
    for trial in finished(12):
        study.add_trial(
            create_trial(
                state=TrialState.FAIL,
                params=trial.params,
                distributions=trial.distributions,
                user_attrs={"crashed": False},
            )
        )
    failed = [trial.params for trial in study.trials]

    trial = study.ask()
    ask_quadratic(trial)

    assert trial.params
    assert trial.params not in failed


def test_a_trial_of_another_process_is_proposed_alike() -> None:
    assert proposal(finished(30)) == proposal(finished(30))
