"""Which trial a free place is given to, whatever the backend: a paused one that has earned more, a new one, or none."""

from collections.abc import Iterable
from typing import Any

from optuna.trial import FrozenTrial

from sepl.tuning.search.names import PAUSED
from sepl.tuning.search.schedulers.base import Scheduler
from sepl.tuning.search.searcher import TruthfulOptunaSearch


class NextTrials:
    """Takes trials from scheduler and searcher; both hear of each."""

    def __init__(self, searcher: TruthfulOptunaSearch, scheduler: Scheduler, *, num_new: int) -> None:
        """`num_new` trials may begin, beside the paused ones that the scheduler knows of."""
        self._searcher, self._scheduler, self._num_new = searcher, scheduler, num_new

    def take(self, trial_id: str) -> dict[str, Any] | None:
        """The config that `TruthfulOptunaSearch` gives; None when a result has to be heard first, or all is over."""
        number = self._scheduler.next_resumable(is_draining=self._num_new <= 0)
        if number is not None:
            return self._searcher.resume(trial_id, number)
        if self._num_new <= 0:
            return None
        self._num_new -= 1
        config = self._searcher.suggest(trial_id)
        self._scheduler.enter(config["number"], config["earlier"])
        return config


def recall(scheduler: Scheduler, trials: Iterable[FrozenTrial]) -> None:
    """Tells a scheduler of an earlier driver's trials; those that wait to be proposed again it hears of then."""
    for trial in trials:
        if trial.state.is_finished():
            scheduler.enter(trial.number, trial.intermediate_values.items(), "ended")
        elif trial.user_attrs.get(PAUSED):
            scheduler.enter(trial.number, trial.intermediate_values.items(), "paused")
