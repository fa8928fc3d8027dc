"""How a driver leaves its study: over, to be resumed, or stopped with one line that says why."""

import optuna

from sepl.errors import StudyError
from sepl.tuning.record.record import BUNDLE_ID, ENDED, NUM_ASKED
from sepl.tuning.results.leaderboard import leaderboard
from sepl.tuning.search.budget import Budget
from sepl.tuning.search.searcher import TruthfulOptunaSearch
from sepl.tuning.search.spending import CPU_SPENT, GPU_SPENT, MONEY_SPENT
from sepl.tuning.settings import StudySettings
from sepl.tuning.trials.environment import EnvironmentWatch

_ALL_FINISHED = "all trials are finished"
_MORE = {
    _ALL_FINISHED: "a larger --num-trials",
    "the time budget is spent": "a longer --time-budget",
    GPU_SPENT: "more --gpu-hours",
    CPU_SPENT: "more --cpu-hours",
    MONEY_SPENT: "a larger --max-cost",
}


def is_over(study: optuna.Study) -> bool:
    """Whether nothing is left to search: the study has ended with a trial that ran to its end, or has published."""
    if BUNDLE_ID in study.user_attrs:
        return True
    return study.user_attrs.get(ENDED) is not None and leaderboard(study).best() is not None


def reopen(study: optuna.Study, num_trials: int, *, was_tested: bool) -> None:
    """Lets a search that has ended go on when it is asked for more trials than then.

    Not once its winner is published or tested: the choice among its trials would no longer be made before the test.
    """
    if study.user_attrs.get(ENDED) is None or BUNDLE_ID in study.user_attrs or was_tested:
        return
    finished = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
    if num_trials > study.user_attrs.get(NUM_ASKED, len(finished)):
        study.set_user_attr(ENDED, None)


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
    searcher.study.set_user_attr(NUM_ASKED, settings.num_trials)
    searcher.study.set_user_attr(ENDED, reason)
