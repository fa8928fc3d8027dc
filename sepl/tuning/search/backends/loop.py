"""A search without Ray: searcher, scheduler and budget drive any backend that trains an epoch at a time."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from sepl.tuning.search.backends.next_trials import NextTrials
from sepl.tuning.search.names import IS_LAST, METRIC, PAUSED, TIME_ATTR
from sepl.tuning.search.schedulers.base import Decision, Scheduler
from sepl.tuning.search.searcher import TruthfulOptunaSearch

Result = Mapping[str, Any]
"""What an epoch came to, by the names of sepl/tuning/search/names.py; `METRIC` is NaN of one that failed."""


class Backend(Protocol):
    """Where trials run. A trial is its number in the study."""

    num_workers: int

    def start(self, config: Mapping[str, Any]) -> None:
        """Begins the trial of this config, or goes on with it when it was kept before."""
        ...

    def next_result(self) -> tuple[int, Result]:
        """The next epoch that ends, of whichever running trial."""
        ...

    def go_on(self, trial: int) -> None:
        """The trial has another epoch."""
        ...

    def end(self, trial: int, *, is_kept: bool) -> None:
        """The trial gives its place away; `is_kept`: it may be started again, and goes on then."""
        ...


class Limit(Protocol):
    """As `Budget`: hears of every epoch, and says when there is no more."""

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool: ...

    def stop_all(self) -> bool: ...


class SearchLoop:
    """Runs a study's trials to their ends, `num_new` of them new."""

    def __init__(
        self,
        backend: Backend,
        searcher: TruthfulOptunaSearch,
        scheduler: Scheduler,
        *,
        num_new: int,
        budget: Limit | None = None,
        on_result: Callable[[int, Result], object] | None = None,
    ) -> None:
        """`on_result` is told the number of the trial and what its epoch came to."""
        self._backend, self._searcher, self._scheduler = backend, searcher, scheduler
        self._next = NextTrials(searcher, scheduler, num_new=num_new)
        self._budget, self._on_result = budget, on_result
        self._ids: dict[int, str] = {}
        """Of the running trials."""
        self._num_started = 0

    def run(self) -> None:
        """Until nothing is left, or the budget is spent; trials that are paused or running then are PRUNED."""
        while self.step():
            pass
        self._searcher.close()

    def step(self) -> bool:
        """Fills the free places and hears of one epoch; whether there was one."""
        if self._budget is not None and self._budget.stop_all():
            return False
        while len(self._ids) < self._backend.num_workers and self._start():
            pass
        if not self._ids:
            return False
        self._hear(*self._backend.next_result())
        return True

    def _start(self) -> bool:
        trial_id = f"run-{self._num_started}"
        config = self._next.take(trial_id)
        if config is None:
            return False
        self._num_started += 1
        self._ids[config["number"]] = trial_id
        self._backend.start(config)
        return True

    def _hear(self, trial: int, result: Result) -> None:
        told = dict(result)
        if self._on_result is not None:
            self._on_result(trial, told)
        if self._budget is not None:
            self._budget(self._ids[trial], told)
        decision = self._decide(trial, told)
        if decision is Decision.CONTINUE:
            self._searcher.on_trial_result(self._ids[trial], told)
            self._backend.go_on(trial)
            return
        is_kept = decision is Decision.PAUSE
        self._backend.end(trial, is_kept=is_kept)
        if not is_kept:
            self._scheduler.end(trial)
        self._searcher.on_trial_complete(self._ids.pop(trial), {**told, PAUSED: is_kept})

    def _decide(self, trial: int, result: Result) -> Decision:
        if not math.isfinite(result[METRIC]):
            return Decision.STOP
        decision = self._scheduler.report(trial, result[TIME_ATTR], result[METRIC])
        return Decision.STOP if result.get(IS_LAST) else decision
