"""TPE on ranks within rungs."""

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import RandomSampler
from optuna.trial import TrialState, create_trial
from writers.planted_searches import ask_quadratic, median_best, new_study

from sepl.tuning.search.proposals.tpe_rank import RankTPESampler

PLACE: dict[str, BaseDistribution] = {"x": FloatDistribution(0.0, 1.0)}


def test_it_beats_chance_on_a_planted_search() -> None:
    assert median_best(RankTPESampler) > 0.5 * median_best(lambda seed: RandomSampler(seed=seed))


def rungs(sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    """Six bad full runs at x = 0.9, and thirty trials stopped at the first rung, the good ones of them at x = 0.2."""
    study = new_study(sampler)
    for number in range(6):
        study.add_trial(
            create_trial(
                value=0.5 + number / 100,
                params={"x": 0.9 + number / 100},
                distributions=PLACE,
                intermediate_values={1: 0.3 + number / 100, 9: 0.5 + number / 100},
            )
        )
    for number in range(30):
        is_good = number % 5 == 0
        study.add_trial(
            create_trial(
                state=TrialState.PRUNED,
                params={"x": 0.2 + number / 1000 if is_good else 0.5 + number / 100},
                distributions=PLACE,
                intermediate_values={1: 0.6 + number / 100 if is_good else 0.1},
            )
        )
    return study


def proposals(study: optuna.Study, num_trials: int = 12) -> list[float]:
    return [study.ask(fixed_distributions=PLACE).params["x"] for _ in range(num_trials)]


def test_it_proposes_near_what_was_good_at_an_early_rung() -> None:
    ranked = proposals(rungs(RankTPESampler(0)))
    completed_first = proposals(rungs(optuna.samplers.TPESampler(seed=0)))

    assert sum(0.1 < x < 0.35 for x in ranked) > sum(0.1 < x < 0.35 for x in completed_first)
    assert sum(0.1 < x < 0.35 for x in ranked) >= 4


def test_running_trials_repel() -> None:
    study = rungs(RankTPESampler(0))

    assert len({round(x, 6) for x in proposals(study, 8)}) == 8


def test_nothing_is_said_of_the_study_in_memory(capfd: pytest.CaptureFixture[str]) -> None:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    study = rungs(RankTPESampler(0))
    capfd.readouterr()

    ask_quadratic(study.ask())

    assert optuna.logging.get_verbosity() == optuna.logging.INFO
    optuna.logging.set_verbosity(verbosity)
    assert capfd.readouterr().err == ""
