"""A free place goes to a trial that earned it, or to a new one."""

import optuna
from optuna.storages import RDBStorage

from sepl.tuning.search.backends.next_trials import NextTrials, recall
from sepl.tuning.search.names import METRIC, PAUSED
from sepl.tuning.search.schedulers.promotion import PromotionASHA
from sepl.tuning.search.searcher import TruthfulOptunaSearch


def define(trial: optuna.Trial) -> dict[str, int]:
    trial.suggest_float("rate", 0.0, 1.0)
    return {"batch_size": 16}


def driver(database: RDBStorage, num_new: int) -> tuple[TruthfulOptunaSearch, PromotionASHA, NextTrials]:
    searcher = TruthfulOptunaSearch(define, num_epochs=9, storage=database, study_name="study")
    scheduler = PromotionASHA(num_epochs=9)
    recall(scheduler, searcher.study.get_trials())
    return searcher, scheduler, NextTrials(searcher, scheduler, num_new=num_new)


def test_paused_trials_outlive_their_driver_and_the_best_goes_on_from_its_checkpoint() -> None:
    database = RDBStorage("sqlite:///:memory:")
    searcher, scheduler, trials = driver(database, num_new=3)
    for name, skill in (("a", 0.5), ("b", 0.3), ("c", 0.1)):
        config = trials.take(name)
        assert config is not None
        scheduler.report(config["number"], 1, skill)
        searcher.note_checkpoint(name, f"/checkpoints/{name}")
        searcher.on_trial_complete(name, {"epoch": 1, METRIC: skill, PAUSED: True})

    searcher, _, trials = driver(database, num_new=0)  # the one before was killed
    resumed = trials.take("d")

    assert resumed is not None
    assert (resumed["number"], resumed["earlier"], resumed["part"]) == (0, [(1, 0.5)], 1)
    assert resumed["resume_from"] == "/checkpoints/a"
    assert resumed["params"]["batch_size"] == 16
    assert [trial.number for trial in searcher.paused()] == [1, 2]
    assert trials.take("e") is None


def test_a_promoted_trial_whose_driver_was_killed_is_proposed_first() -> None:
    database = RDBStorage("sqlite:///:memory:")
    searcher, scheduler, trials = driver(database, num_new=1)
    assert trials.take("a") is not None
    scheduler.report(0, 1, 0.5)
    searcher.on_trial_complete("a", {"epoch": 1, METRIC: 0.5, PAUSED: True})
    assert trials.take("b") is not None  # the only one: it goes on to its end

    _, _, trials = driver(database, num_new=1)
    again = trials.take("c")

    assert again is not None
    assert (again["number"], again["earlier"]) == (0, [(1, 0.5)])
