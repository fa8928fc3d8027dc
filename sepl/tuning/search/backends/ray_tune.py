"""The same searcher and scheduler under Ray Tune.

A paused trial ends for Tune, which would count it among those that run, and waits in Optuna with its values and its
checkpoint; when it goes on it is another trial of Tune, in any warm process and under any later driver.
"""

import math
from typing import Any

from ray.tune import Callback, Stopper
from ray.tune.result import SHOULD_CHECKPOINT
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from sepl.tuning.search.backends.next_trials import NextTrials
from sepl.tuning.search.budget import Budget
from sepl.tuning.search.names import METRIC, PAUSED, TIME_ATTR
from sepl.tuning.search.schedulers.base import Decision, Scheduler
from sepl.tuning.search.searcher import TruthfulOptunaSearch


class TuneSearcher(Searcher):
    """What Tune asks and tells, passed on."""

    def __init__(self, searcher: TruthfulOptunaSearch, next_trials: NextTrials) -> None:
        super().__init__(metric=METRIC, mode="max")
        self._searcher, self._next = searcher, next_trials
        self._running: set[str] = set()

    def suggest(self, trial_id: str) -> Any:
        """The next trial's config; None while it hangs on those that run, FINISHED when nothing is left."""
        config = self._next.take(trial_id)
        if config is not None:
            self._running.add(trial_id)
            return config
        if self._running:
            return None
        self._searcher.retire_paused()
        return Searcher.FINISHED

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        self._searcher.on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self._running.discard(trial_id)
        self._searcher.on_trial_complete(trial_id, result, error)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the state is Optuna's storage, and no pickle of it is ever read."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing."""

    def __getstate__(self) -> dict[str, Any]:
        return {}  # for Tune's own snapshot, which is written but never restored


class TuneScheduler(FIFOScheduler):
    """A scheduler as Tune asks it, which starts no trial and stores none: a resumed one is told by `recall`."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__()
        self._scheduler = scheduler
        self._pausing: set[str] = set()
        """Tune's ids of trials that end now and are not over."""

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:  # noqa: ARG002
        """Tune offers names for what this one reads already."""
        return metric is None and mode is None

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:  # noqa: ARG002 - Tune's signature
        self._pausing.discard(trial.trial_id)  # its process died while it was saved, and it is tried again
        self._scheduler.enter(trial.config["number"], trial.config["earlier"])

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:  # noqa: ARG002
        if TIME_ATTR not in result or METRIC not in result:
            return TrialScheduler.CONTINUE
        decision = self._report(trial, result)
        if decision is Decision.PAUSE:
            self._pausing.add(trial.trial_id)
        return TrialScheduler.CONTINUE if decision is Decision.CONTINUE else TrialScheduler.STOP

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:  # noqa: ARG002
        if trial.trial_id in self._pausing:
            self._pausing.discard(trial.trial_id)
            return
        if TIME_ATTR in result:  # Tune does not show the result of a trial that ended itself
            self._report(trial, result)
        self._scheduler.end(trial.config["number"])

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:  # noqa: ARG002
        self._scheduler.end(trial.config["number"])

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:  # noqa: ARG002
        self._scheduler.end(trial.config["number"])

    def is_pausing(self, trial_id: str) -> bool:
        return trial_id in self._pausing

    def _report(self, trial: Any, result: dict[str, Any]) -> Decision:
        if not math.isfinite(result.get(METRIC, math.nan)):  # a diverged trial says nothing
            return Decision.STOP
        return self._scheduler.report(trial.config["number"], result[TIME_ATTR], result[METRIC])


class BudgetStopper(Stopper):
    """A budget as Tune asks it."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return self._budget(trial_id, result)

    def stop_all(self) -> bool:
        return self._budget.stop_all()


class PauseMark(Callback):
    """The result that a trial is paused at says so, and is saved before the trial gives its process away."""

    def __init__(self, scheduler: TuneScheduler) -> None:
        self._scheduler = scheduler

    def on_trial_result(
        self,
        iteration: int,  # noqa: ARG002 - Tune's signature
        trials: list[Any],  # noqa: ARG002
        trial: Any,
        result: dict[str, Any],
        **info: Any,  # noqa: ARG002
    ) -> None:
        if self._scheduler.is_pausing(trial.trial_id):
            result |= {PAUSED: True, SHOULD_CHECKPOINT: True}

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks into a snapshot that is never read
