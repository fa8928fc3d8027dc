"""A prior helps at first, and a wrong one does not hurt for long."""

import numpy as np
import pytest
from optuna.samplers import RandomSampler, TPESampler
from writers.planted_searches import ask_quadratic, median_best, new_study, quadratic

from sepl.tuning.search.proposals.evidence import Evidence
from sepl.tuning.search.proposals.guided import PriorGuidedSampler, prior_share
from sepl.tuning.search.proposals.prior import PriorTrial


def ranked(is_right: bool) -> list[PriorTrial]:
    """Configurations by their true order, or the wrong way round."""
    study = new_study(RandomSampler(seed=99))
    points = []
    for _ in range(150):
        trial = study.ask()
        ask_quadratic(trial)
        points.append(trial.params)
    points.sort(key=quadratic, reverse=not is_right)
    return [PriorTrial(params, (place + 1) / len(points)) for place, params in enumerate(points)]


RIGHT, WRONG = ranked(is_right=True), ranked(is_right=False)


def tpe(seed: int) -> TPESampler:
    return TPESampler(seed=seed)


def test_with_a_right_prior_the_first_trials_are_better() -> None:
    def guided(seed: int) -> PriorGuidedSampler:
        return PriorGuidedSampler(tpe(seed), RIGHT, seed=seed)

    assert median_best(guided, num_seeds=5, num_trials=10) > 0.75 * median_best(tpe, num_seeds=5, num_trials=10)


def test_with_a_wrong_prior_the_best_after_sixty_trials_is_within_reach_of_that_without() -> None:
    def misled(seed: int) -> PriorGuidedSampler:
        return PriorGuidedSampler(tpe(seed), WRONG, seed=seed)

    assert median_best(misled, num_seeds=5) > median_best(tpe, num_seeds=5) - 0.02


def share_after(num_trials: int, prior: list[PriorTrial]) -> float:
    study = new_study(RandomSampler(seed=1))
    for _ in range(num_trials):
        trial = study.ask()
        ask_quadratic(trial)
        study.tell(trial, quadratic(trial.params))
    return prior_share(Evidence.of(study, but=num_trials), prior)


def test_a_right_priors_say_fades_and_a_wrong_one_loses_it() -> None:
    right = [share_after(number, RIGHT) for number in (0, 10, 40, 160)]

    assert right == sorted(right, reverse=True)
    assert right[0] == 0.75
    assert right[1] > 0.2
    assert right[-1] < 0.05
    assert share_after(10, WRONG) == 0.0


def test_the_priors_best_are_tried_as_they_are_before_any_is_varied() -> None:
    prior = RIGHT[-3:]
    study = new_study(PriorGuidedSampler(RandomSampler(seed=0), prior, seed=0))
    drawn = []
    for _ in range(12):
        trial = study.ask()
        ask_quadratic(trial)
        drawn.append(trial.params)
        study.tell(trial, quadratic(trial.params))

    exact = [params for params in drawn if any(params == known.params for known in prior)]

    assert len(exact) >= 2
    assert len({repr(params) for params in exact}) == len(exact)


@pytest.mark.parametrize("params", [{}, {"other": 1}, {"x": "no number", "kind": "z", "y": 7.0}])
def test_a_prior_of_another_space_says_nothing(params: dict[str, object]) -> None:
    study = new_study(PriorGuidedSampler(tpe(0), [PriorTrial(params, 1.0)], seed=0))

    for _ in range(15):
        trial = study.ask()
        ask_quadratic(trial)
        study.tell(trial, quadratic(trial.params))

    assert len({trial.params["x"] for trial in study.trials}) == 15
    assert np.isfinite([trial.value for trial in study.trials if trial.value is not None]).all()
