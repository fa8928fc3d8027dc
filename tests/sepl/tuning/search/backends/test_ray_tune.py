"""Schedulers and searcher by the calls that Tune makes."""

from types import SimpleNamespace
from typing import Any

import optuna
from hypothesis import given
from hypothesis import strategies as st
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from ray.tune.result import SHOULD_CHECKPOINT
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search import Searcher

from sepl.tuning.search.backends.next_trials import NextTrials
from sepl.tuning.search.backends.ray_tune import PauseMark, TuneScheduler, TuneSearcher
from sepl.tuning.search.names import METRIC, PAUSED
from sepl.tuning.search.schedulers.asha import ASHA
from sepl.tuning.search.schedulers.promotion import PromotionASHA
from sepl.tuning.search.searcher import TruthfulOptunaSearch

NUM_EPOCHS = 9
CURVES = st.lists(st.lists(st.floats(-1, 1), min_size=1, max_size=NUM_EPOCHS).map(sorted), max_size=8)


def trial(number: int, earlier: Any = ()) -> SimpleNamespace:
    return SimpleNamespace(trial_id=f"t{number}", config={"number": number, "earlier": earlier})


def run(scheduler: Any, running: SimpleNamespace, curve: list[float]) -> dict[int, float]:
    """As Tune does, until the scheduler stops it; the {epoch: skill} that it came to."""
    told: dict[int, float] = {}
    scheduler.on_trial_add(None, running)
    for epoch, skill in enumerate(curve, start=1):
        told[epoch] = skill
        result = {"epoch": epoch, "best_skill": skill}
        if scheduler.on_trial_result(None, running, result) == scheduler.STOP:
            scheduler.on_trial_complete(None, running, result)
            break
    return told


@given(curves=CURVES)
def test_the_same_trials_are_stopped_as_by_rays_own_asha(curves: list[list[float]]) -> None:
    ours = TuneScheduler(ASHA(num_epochs=NUM_EPOCHS))
    rays = ASHAScheduler(
        time_attr="epoch", metric="best_skill", mode="max", max_t=NUM_EPOCHS, grace_period=1, reduction_factor=3
    )

    told = [[run(scheduler, trial(number), curve) for number, curve in enumerate(curves)] for scheduler in (ours, rays)]

    assert told[0] == told[1]


def test_a_diverged_trial_leaves_no_trace_in_a_rung() -> None:
    scheduler = ASHA(num_epochs=NUM_EPOCHS)

    TuneScheduler(scheduler).on_trial_complete(None, trial(0), {"best_skill": float("nan"), "epoch": 1})

    assert dict(scheduler.rungs()) == {1: 0, 3: 0, 9: 0}


def test_a_trial_that_ended_itself_counts_at_the_rung_it_came_to() -> None:
    scheduler = ASHA(num_epochs=NUM_EPOCHS)

    TuneScheduler(scheduler).on_trial_complete(None, trial(0), {"best_skill": 0.5, "epoch": 4})

    assert dict(scheduler.rungs()) == {1: 0, 3: 1, 9: 0}


def test_a_result_without_a_skill_decides_nothing() -> None:
    assert TuneScheduler(ASHA(num_epochs=9)).on_trial_result(None, trial(0), {"epoch": 1}) == "CONTINUE"


def test_the_result_that_a_trial_is_paused_at_says_so_and_asks_for_a_checkpoint() -> None:
    scheduler = TuneScheduler(PromotionASHA(num_epochs=NUM_EPOCHS))
    result = {"epoch": 1, "best_skill": 0.5}

    assert scheduler.on_trial_result(None, trial(0), result) == scheduler.STOP
    PauseMark(scheduler).on_trial_result(1, [], trial(0), result)

    assert result == {"epoch": 1, "best_skill": 0.5, PAUSED: True, SHOULD_CHECKPOINT: True}


def test_a_trial_whose_process_died_while_it_was_saved_is_run_once() -> None:
    inner = PromotionASHA(num_epochs=NUM_EPOCHS)
    scheduler = TuneScheduler(inner)
    scheduler.on_trial_result(None, trial(0), {"epoch": 1, "best_skill": 0.5})

    scheduler.on_trial_error(None, trial(0))
    scheduler.on_trial_add(None, trial(0))

    assert not scheduler.is_pausing("t0")
    assert inner.next_resumable(is_draining=True) is None


def define(trial: optuna.Trial) -> dict[str, int]:
    trial.suggest_float("rate", 0.0, 1.0)
    return {}


def test_a_search_is_finished_when_none_runs_and_none_is_worth_more_and_the_paused_are_pruned() -> None:
    searcher = TruthfulOptunaSearch(define, num_epochs=2, storage=RDBStorage("sqlite:///:memory:"), study_name="study")
    inner = PromotionASHA(num_epochs=2)
    tune, scheduler = TuneSearcher(searcher, NextTrials(searcher, inner, num_new=2)), TuneScheduler(inner)
    for name, skill in (("a", 0.5), ("b", 0.4)):
        config = tune.suggest(name)
        scheduler.on_trial_result(None, SimpleNamespace(trial_id=name, config=config), {"epoch": 1, METRIC: skill})
        tune.on_trial_complete(name, {"epoch": 1, METRIC: skill, PAUSED: True})

    config = tune.suggest("c")
    assert (config["number"], config["part"]) == (0, 1)
    assert tune.suggest("d") is None
    scheduler.on_trial_result(None, SimpleNamespace(trial_id="c", config=config), {"epoch": 2, METRIC: 0.6})
    tune.on_trial_complete("c", {"epoch": 2, METRIC: 0.6})

    assert tune.suggest("e") == Searcher.FINISHED
    assert [trial.state for trial in searcher.study.trials] == [TrialState.COMPLETE, TrialState.PRUNED]
    assert tune.__getstate__() == {}
