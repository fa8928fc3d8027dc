"""Trials whose process died, under Ray Tune."""

from typing import Any

from ray.tune import Callback

from sepl.tuning.search.budget import Budget
from sepl.tuning.search.names import TIME_ATTR
from sepl.tuning.search.searcher import TruthfulOptunaSearch


class CrashCounter(Callback):
    """Counts trials that crashed for good, which report no result, and lets a trial that came further crash again.

    Ray counts the failures of a trial's whole life; a long trial on machines that come and go would use them up.
    """

    def __init__(self, budget: Budget, searcher: TruthfulOptunaSearch) -> None:
        self._budget, self._searcher = budget, searcher
        self._furthest: dict[str, int] = {}

    def on_trial_result(
        self,
        iteration: int,  # noqa: ARG002
        trials: list[Any],  # noqa: ARG002
        trial: Any,
        result: dict[str, Any],
        **info: Any,  # noqa: ARG002
    ) -> None:
        epoch = result.get(TIME_ATTR, 0)
        if epoch > self._furthest.get(trial.trial_id, 0):
            self._furthest[trial.trial_id] = epoch
            trial.run_metadata.num_failures = 0

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
        self._budget.note_failure(f"its process crashed: {self._searcher.death_of(trial.trial_id)}")

    def __getstate__(self) -> dict[str, Any]:
        return {}
