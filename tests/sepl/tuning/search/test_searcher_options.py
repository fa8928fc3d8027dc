"""The searcher with other samplers than TPE, and with limits."""

from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from sepl.tuning.record.costs import Cost
from sepl.tuning.search.limits import Gate, Limits
from sepl.tuning.search.names import METRIC
from sepl.tuning.search.proposals import PriorTrial
from sepl.tuning.search.searcher import TruthfulOptunaSearch

NUM_EPOCHS = 9


@pytest.fixture
def database() -> RDBStorage:
    return RDBStorage("sqlite:///:memory:")


def define(trial: optuna.Trial) -> dict[str, Any]:
    trial.suggest_float("learning_rate", 0.0, 1.0)
    return {"batch_size": 16}


def result(epoch: int, skill: float, **more: Any) -> dict[str, Any]:
    return {"epoch": epoch, METRIC: skill, "time_this_iter_s": 2.0, **more}


def test_a_refused_configuration_is_a_failed_trial_beside_the_number_and_another_is_proposed(
    database: RDBStorage,
) -> None:
    gate = Gate(Limits(max_parameters=100), lambda params: Cost(num_parameters=params["width"], ms_per_photograph=1.0))

    def ask(trial: optuna.Trial) -> dict[str, Any]:
        trial.suggest_int("width", 1, 500)
        return {"batch_size": 16}

    searcher = TruthfulOptunaSearch(
        ask,
        num_epochs=NUM_EPOCHS,
        storage=database,
        study_name="study",
        first_points=({"width": 400}, {"width": 50}),
        gate=gate,
    )

    config = searcher.suggest("a")

    assert config is not None
    assert (config["number"], config["params"]) == (1, {"batch_size": 16, "width": 50})
    assert searcher.study.trials[0].state == TrialState.FAIL
    assert searcher.num_beside() == 1
    searcher.on_trial_complete("a", result(1, 0.1))
    assert searcher.study.trials[1].user_attrs["num_parameters"] == 50


def test_what_a_network_costs_is_kept_with_its_trial(database: RDBStorage) -> None:
    searcher = TruthfulOptunaSearch(define, num_epochs=NUM_EPOCHS, storage=database, study_name="study")
    searcher.suggest("a")

    searcher.on_trial_complete("a", result(1, 0.4, num_parameters=12, ms_per_photograph=3.5))

    (trial,) = searcher.study.trials
    assert (trial.user_attrs["num_parameters"], trial.user_attrs["ms_per_photograph"]) == (12, 3.5)


@pytest.mark.parametrize("sampler", ["tpe_rank", "cqr", "random"])
def test_every_sampler_serves_a_study(database: RDBStorage, sampler: str) -> None:
    prior = [PriorTrial({"learning_rate": 0.25}, 1.0)]
    searcher = TruthfulOptunaSearch(
        define,
        num_epochs=NUM_EPOCHS,
        storage=database,
        study_name="study",
        sampler=sampler,
        prior=prior,
    )

    for number in range(13):
        searcher.suggest(f"t{number}")
        searcher.on_trial_complete(f"t{number}", result(1, number / 100))

    rates = [trial.params["learning_rate"] for trial in searcher.study.trials]
    assert len(set(rates)) == 13
    assert 0.25 in rates
