"""A study: Ray Tune runs trials, Optuna proposes, ASHA stops, and all of it survives an interruption."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import optuna
from optuna.trial import TrialState
from ray import tune

from sepl.errors import ConfigError, StudyError
from sepl.tuning.budget import Budget, CrashCounter
from sepl.tuning.checkpoints import CheckpointJournal
from sepl.tuning.cluster import Cluster
from sepl.tuning.leaderboard import Leaderboard, leaderboard
from sepl.tuning.packing import Packing, pack
from sepl.tuning.plan import StudyPlan
from sepl.tuning.progress import StudyProgress
from sepl.tuning.record import BUNDLE_ID, ENDED, StudyFolder
from sepl.tuning.result_log import ResultLog
from sepl.tuning.scheduler import RememberingASHA
from sepl.tuning.searcher import TruthfulOptunaSearch
from sepl.tuning.settings import StudySettings
from sepl.tuning.tune_run import run_trials


@dataclass(frozen=True)
class StudyResult:
    """What a driver leaves behind."""

    folder: StudyFolder
    board: Leaderboard
    packing: Packing
    ended: str | None
    """Why the search is over; None when it was interrupted and can be resumed."""


def run_study(plan: StudyPlan, cluster: Cluster) -> StudyResult:
    """Searches until the number of trials or a budget is reached, or a signal interrupts.

    An interrupted study is left so that `resume` goes on: finished trials stay, the others wait with their checkpoints.
    One that is over is returned as it is.

    Raises ConfigError when no trial fits the cluster, StudyError when another process searches the study, the database
    does not open, or none of the first trials has a result.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings, folder = plan.settings, plan.folder
    packing = pack(cluster.nodes, trials_per_gpu=settings.trials_per_gpu, cpus_per_trial=settings.cpus_per_trial)
    with folder.only_driver():
        searcher = _searcher(plan)
        folder.write(plan.record, plan.affinity)
        if settings.retry_failed and BUNDLE_ID not in searcher.study.user_attrs and searcher.retry_failed():
            searcher.study.set_user_attr(ENDED, None)  # whatever ended it: there is more to do
        if searcher.study.user_attrs.get(ENDED) is None:
            _search(plan, packing, searcher)
        board = leaderboard(searcher.study)
        (folder.location / "leaderboard.json").write_bytes((board.model_dump_json(indent=2) + "\n").encode())
    return StudyResult(folder, board, packing, searcher.study.user_attrs.get(ENDED))


def _searcher(plan: StudyPlan) -> TruthfulOptunaSearch:
    return TruthfulOptunaSearch(
        plan.space.propose,
        num_epochs=plan.space.num_epochs,
        storage=plan.folder.open_optuna_storage(plan.record.optuna_url),
        study_name=plan.record.study,
        first_points=plan.space.first_points,
        seed=plan.record.seed,
    )


def _search(plan: StudyPlan, packing: Packing, searcher: TruthfulOptunaSearch) -> None:
    settings = plan.settings
    finished = searcher.study.get_trials(deepcopy=False, states=[state for state in TrialState if state.is_finished()])
    budget = _budget(plan, packing, searcher)
    scheduler = RememberingASHA(
        num_epochs=plan.space.num_epochs,
        grace_epochs=settings.grace_epochs,
        finished=[trial.intermediate_values for trial in finished],
    )
    num_left = settings.num_trials - len(finished) + searcher.num_retries()
    if num_left > 0:
        progress = StudyProgress(searcher, scheduler, budget, num_trials=len(finished) + num_left)
        with progress, _sigterm_as_ctrl_c():
            try:
                run_trials(
                    plan.folder,
                    packing,
                    searcher,
                    scheduler=scheduler,
                    stopper=budget,
                    callbacks=[*_callbacks(plan.folder, searcher, budget), progress],
                    surroundings=_surroundings(plan, packing),
                    num_trials=num_left,
                )
            finally:
                searcher.release()
    _end(settings, searcher, budget)


def _end(settings: StudySettings, searcher: TruthfulOptunaSearch, budget: Budget) -> None:
    """Marks the study as over, unless it was interrupted."""
    finished = [trial for trial in searcher.study.get_trials(deepcopy=False) if trial.state.is_finished()]
    is_done = len(finished) - searcher.num_retries() >= settings.num_trials
    reason = "all trials are finished" if is_done else budget.reason
    if reason is None:
        return
    if budget.failure is not None:
        raise StudyError(
            f"study {settings.study}: {reason}, none with a result; the last failed with: {budget.failure}"
        )
    searcher.close()
    searcher.study.set_user_attr(ENDED, reason)


def _budget(plan: StudyPlan, packing: Packing, searcher: TruthfulOptunaSearch) -> Budget:
    gpu_hours = plan.settings.gpu_hours
    if gpu_hours is not None and packing.gpus == 0:
        raise ConfigError(f"--gpu-hours should be left out where there is no GPU, was {gpu_hours}")
    rows = leaderboard(searcher.study).root
    spent = sum(row.seconds for row in rows)
    return Budget(
        seconds=plan.seconds,
        gpu_seconds=None if gpu_hours is None else gpu_hours * 3600 - spent * packing.gpus,
        gpus_per_trial=packing.gpus,
        has_succeeded=any(row.curve for row in rows),
    )


def _surroundings(plan: StudyPlan, packing: Packing) -> dict[str, object]:
    return {
        "dataset": plan.record.dataset,
        "fingerprint": plan.record.fingerprint,
        "storage": plan.folder.location.uri,
        "cpus": packing.cpus,
        "gpus": packing.gpus,
        "checkpoint_seconds": plan.settings.checkpoint_seconds,
    }


def _callbacks(folder: StudyFolder, searcher: TruthfulOptunaSearch, budget: Budget) -> list[tune.Callback]:
    journal = CheckpointJournal(searcher, folder.location.filesystem)
    return [ResultLog(), journal, CrashCounter(budget, searcher)]


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Tune stops cleanly on SIGINT, and `ray job stop` or a batch system sends SIGTERM."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
