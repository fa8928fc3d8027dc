"""How a driver leaves its study: over, to be resumed, or stopped with one line that says why."""

import optuna

from sepl.errors import StudyError
from sepl.tuning.record.record import ENDED
from sepl.tuning.results.leaderboard import leaderboard
from sepl.tuning.search.budget import Budget
from sepl.tuning.search.searcher import TruthfulOptunaSearch
from sepl.tuning.settings import StudySettings
from sepl.tuning.trials.environment import EnvironmentWatch

_ALL_FINISHED = "all trials are finished"
_MORE = {
    _ALL_FINISHED: "a larger --num-trials",
    "the time budget is spent": "a longer --time-budget",
    "the GPU budget is spent": "more --gpu-hours",
}


def is_over(study: optuna.Study) -> bool:
    """Whether nothing is left to search: the study has ended with a trial that ran to its end."""
    return study.user_attrs.get(ENDED) is not None and leaderboard(study).best() is not None


def end_study(settings: StudySettings, searcher: TruthfulOptunaSearch, budget: Budget, watch: EnvironmentWatch) -> None:
    """Marks the study as over, unless it was interrupted.

    Raises StudyError when it was stopped, or a budget is spent and no trial ran to the end; trials that wait then go on
    with `resume`.
    """
    finished = [trial for trial in searcher.study.get_trials(deepcopy=False) if trial.state.is_finished()]
    is_done = len(finished) - searcher.num_beside() >= settings.num_trials
    reason = _ALL_FINISHED if is_done else budget.reason
    if watch.problem is not None and reason != _ALL_FINISHED:
        raise StudyError(f"study {settings.study} stopped: {watch.problem}; its trials wait: mend it, then --resume")
    if reason is None:
        return
    if budget.failure is not None:
        raise StudyError(
            f"study {settings.study}: {reason}, none with a result; the last failed with: {budget.failure}"
        )
    if leaderboard(searcher.study).best() is None:
        more = _MORE.get(reason, "more trials or time")
        raise StudyError(f"study {settings.study}: {reason}, but no trial ran to the end; --resume it with {more}")
    searcher.close()
    searcher.study.set_user_attr(ENDED, reason)
