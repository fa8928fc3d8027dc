"""Ways to search, and what each costs until it has a setting as good as the table's best: in simulated time."""

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from sepl.tuning.search.backends.curve_table import CurveTable, TableSpace
from sepl.tuning.search.backends.loop import SearchLoop
from sepl.tuning.search.backends.simulated import SimulatedBackend
from sepl.tuning.search.names import METRIC
from sepl.tuning.search.schedulers.asha import ASHA
from sepl.tuning.search.schedulers.base import Scheduler
from sepl.tuning.search.schedulers.build import GraceEpochs, SchedulerName, make_scheduler
from sepl.tuning.search.searcher import TruthfulOptunaSearch

RAYS_REDUCTION_FACTOR = 4  # default of ray.tune.schedulers.ASHAScheduler in 2.60, as its grace_period of 1


class StockOptunaSearch(TruthfulOptunaSearch):
    """As Ray's `OptunaSearch` (2.60): every trial is COMPLETE with its last value, wherever it was stopped.

    One that diverged, which stock leaves RUNNING for good, fails as ours does.
    """

    def _verdict(
        self,
        trial_id: str,
        frozen: FrozenTrial,
        result: Mapping[str, Any],
        error: bool,
    ) -> dict[str, Any]:
        if math.isnan(result[METRIC]):
            return super()._verdict(trial_id, frozen, result, error)
        return {"state": TrialState.COMPLETE, "values": float(result[METRIC])}


@dataclass(frozen=True)
class Arm:
    """A way to search."""

    scheduler: Callable[[CurveTable], Scheduler]
    sampler: Callable[[int], BaseSampler]
    """By seed."""
    searcher: type[TruthfulOptunaSearch] = TruthfulOptunaSearch


@dataclass(frozen=True)
class Cost:
    """Of a search until it was as good as asked; one that ended before counts as training the whole table."""

    epochs: int
    seconds: float
    is_reached: bool


def rays_asha(table: CurveTable) -> Scheduler:
    return ASHA(num_epochs=table.num_epochs, reduction_factor=RAYS_REDUCTION_FACTOR)


def our_scheduler(name: SchedulerName, grace_epochs: GraceEpochs = 1) -> Callable[[CurveTable], Scheduler]:
    return lambda table: make_scheduler(
        name, num_epochs=table.num_epochs, num_trials=len(table.curves), grace_epochs=grace_epochs
    )


def our_sampler(name: str) -> Callable[[int], BaseSampler]:
    """By the names of `sepl.tuning.search.proposals`, which is loaded where it has more than Optuna."""
    if name == "random":
        return lambda seed: RandomSampler(seed=seed)
    if name == "tpe":
        return lambda seed: TPESampler(seed=seed)
    make_sampler = importlib.import_module("sepl.tuning.search.proposals").make_sampler
    return lambda seed: make_sampler(name, seed=seed)


def rivals() -> dict[str, Arm]:
    """The ways to beat."""
    return {
        "random + ASHA": Arm(rays_asha, our_sampler("random")),
        "stock OptunaSearch + ASHA": Arm(rays_asha, our_sampler("tpe"), StockOptunaSearch),
        "1 epoch, then top k": Arm(our_scheduler("top_k"), our_sampler("random")),
    }


def cost_until(arm: Arm, table: CurveTable, goal: float, *, seed: int, num_workers: int) -> Cost:
    """What it costs until a trial has had a skill of `goal`, each setting of the table tried once at most."""
    search = Search(arm, table, seed=seed, num_workers=num_workers)
    while search.best_skill < goal:
        if not search.loop.step():
            return whole_table(table, num_workers)
    return Cost(search.num_epochs, search.backend.now, is_reached=True)


def whole_table(table: CurveTable, num_workers: int) -> Cost:
    num_epochs = sum(len(curve.seconds) for curve in table.curves)
    return Cost(num_epochs, sum(sum(curve.seconds) for curve in table.curves) / num_workers, is_reached=False)


class Search:
    """One search of a table, and how far it is."""

    def __init__(self, arm: Arm, table: CurveTable, *, seed: int, num_workers: int) -> None:
        storage = optuna.storages.InMemoryStorage()
        self.searcher = arm.searcher(
            TableSpace(table, storage), num_epochs=table.num_epochs, storage=storage, study_name="table"
        )
        self.searcher.study.sampler = arm.sampler(seed)
        self.backend = SimulatedBackend(table.curves, num_workers=num_workers)
        self.best_skill, self.num_epochs = -float("inf"), 0
        self.loop = SearchLoop(
            self.backend, self.searcher, arm.scheduler(table), num_new=len(table.curves), on_result=self._note
        )

    def _note(self, trial: int, result: Mapping[str, Any]) -> None:  # noqa: ARG002 - the loop's signature
        self.num_epochs += 1
        self.best_skill = max(self.best_skill, result[METRIC])
