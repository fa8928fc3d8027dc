"""A study: Ray Tune runs trials, Optuna proposes, ASHA stops, and all of it survives an interruption."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState
from ray import tune
from ray.tune.search import ConcurrencyLimiter
from ray.tune.stopper import CombinedStopper

from sepl.config import TrainingConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import StudyError
from sepl.tuning.ending import end_study, is_over, reopen
from sepl.tuning.plan import StudyPlan
from sepl.tuning.probe.advice import first_points, prior_trials
from sepl.tuning.probe.ask import ONLY_PROBED
from sepl.tuning.probe.record import ProbeRecord
from sepl.tuning.progress import StudyProgress
from sepl.tuning.record.attributes import FROM_STUDY
from sepl.tuning.record.costs import COSTS
from sepl.tuning.record.database import database_errors_in_one_line
from sepl.tuning.record.ownership import check_owner, claim
from sepl.tuning.record.record import BUNDLE_ID, ENDED, LEADERBOARD, PRICE, REPORT, StudyFolder
from sepl.tuning.report.live import LiveReport
from sepl.tuning.results.leaderboard import Leaderboard, leaderboard
from sepl.tuning.search.backends.next_trials import NextTrials, recall
from sepl.tuning.search.backends.ray_tune import BudgetStopper, PauseMark, TuneScheduler, TuneSearcher
from sepl.tuning.search.budget import Budget
from sepl.tuning.search.crashes import CrashCounter
from sepl.tuning.search.flat_watch import FlatWatch
from sepl.tuning.search.flatness import PatientCounts
from sepl.tuning.search.history import take_over
from sepl.tuning.search.limits import Gate, Limits
from sepl.tuning.search.schedulers.base import Scheduler
from sepl.tuning.search.schedulers.build import make_scheduler, pauses
from sepl.tuning.search.searcher import TruthfulOptunaSearch
from sepl.tuning.search.spending import make_budget
from sepl.tuning.trials.checkpoints import CheckpointJournal
from sepl.tuning.trials.cluster import Cluster
from sepl.tuning.trials.environment import DatabaseWatch, EnvironmentWatch, SaveListener
from sepl.tuning.trials.gate import make_gate
from sepl.tuning.trials.loggers import make_loggers
from sepl.tuning.trials.packing import Packing, pack
from sepl.tuning.trials.run import run_trials
from sepl.tuning.trials.waiting import ClusterWatch

_NO_LIMIT = -1
"""Of Tune's trials, where one that is paused is another when it goes on: `NextTrials` counts those of the study."""


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

    Raises ConfigError when no trial fits the cluster, StorageError when another process has the study, StudyError when
    the database does not open or is lost, none of the first trials has a result, the data or the storage fails, or a
    budget is spent without a trial that ran to its end.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings, folder = plan.settings, plan.folder
    packing = pack(cluster.nodes, trials_per_gpu=settings.trials_per_gpu, cpus_per_trial=settings.cpus_per_trial)
    with folder.only_driver(), database_errors_in_one_line(settings.study):
        _check_sealed(plan)
        storage = _own_database(plan)
        cluster.check_sight(plan.record.dataset, plan.record.fingerprint, folder.location.uri)
        searcher = _searcher(plan, storage, _gate(plan, cluster, packing), _probe(plan, cluster, packing))
        if settings.retry_failed and BUNDLE_ID not in searcher.study.user_attrs and searcher.retry_failed():
            searcher.study.set_user_attr(ENDED, None)  # whatever ended it: there is more to do
        was_tested = folder.unsealing(plan.record.fingerprint).num_readings() > 0
        reopen(searcher.study, settings.num_trials, was_tested=was_tested)
        if settings.probe == "only" and not searcher.study.get_trials(deepcopy=False, states=[TrialState.COMPLETE]):
            searcher.study.set_user_attr(ENDED, ONLY_PROBED)
        elif not is_over(searcher.study):
            _search(plan, packing, searcher, storage)
        board = leaderboard(searcher.study)
        (folder.location / LEADERBOARD).write_bytes((board.model_dump_json(indent=2) + "\n").encode())
    return StudyResult(folder, board, packing, searcher.study.user_attrs.get(ENDED))


def _check_sealed(plan: StudyPlan) -> None:
    """Raises StudyError for a search whose sealed test patients have been read: its database or folder was lost."""
    record, folder = plan.record, plan.folder
    if plan.settings.test_again or not folder.unsealing(record.fingerprint).num_readings():
        return
    if not folder.is_over(record.optuna_url):
        raise StudyError(
            f"study {record.study} has read the sealed test patients of this dataset (see {folder.registry.uri}), and "
            "its database does not know: restore the database, begin a study of another name, or give --test-again, "
            "which the bundle will say"
        )


def _own_database(plan: StudyPlan) -> BaseStorage:
    """The database with this study in it, and the record in the storage. Raises StudyError."""
    record, resumed = plan.record, plan.settings.resume
    storage = plan.folder.open_optuna_storage(record.optuna_url)
    assert record.study_id is not None  # `plan_study` gives one
    check_owner(storage, record.study, record.study_id, resumed=resumed)
    plan.folder.write(record, plan.affinity)  # before anything is in the database, which only a record can go on with
    claim(storage, record.study, record.study_id, resumed=resumed)
    if plan.history is not None:
        take_over(optuna.load_study(study_name=record.study, storage=storage), plan.history, plan.folder)
    return storage


def _gate(plan: StudyPlan, cluster: Cluster, packing: Packing) -> Gate | None:
    limits = Limits(plan.record.max_parameters, plan.record.max_ms_per_photograph)
    return make_gate(limits, plan.record.dataset, (plan.folder.location / COSTS).uri, packing, cluster.nodes)


def _probe(plan: StudyPlan, cluster: Cluster, packing: Packing) -> ProbeRecord | None:
    """What heads come to on frozen features; None where there is nothing to probe, or the study is over."""
    if plan.folder.is_over(plan.record.optuna_url) and plan.settings.probe != "only":
        return None
    if plan.probe is None:
        return None
    room = min(max(node.cpus for node in cluster.nodes), packing.cpus * packing.concurrency)  # no trial needs it yet
    with _sigterm_as_ctrl_c():
        return cluster.run_apart(replace(packing, cpus=room), partial(plan.probe, num_threads=room), "the probe")


def _searcher(
    plan: StudyPlan, storage: BaseStorage, gate: Gate | None = None, probe: ProbeRecord | None = None
) -> TruthfulOptunaSearch:
    advised = () if probe is None else first_points(probe, plan.space)
    return TruthfulOptunaSearch(
        plan.space.propose,
        num_epochs=plan.space.num_epochs,
        storage=storage,
        study_name=plan.record.study,
        first_points=(*plan.space.first_points, *advised),
        seed=plan.record.seed,
        sampler=plan.record.sampler,
        prior=(*plan.prior, *(() if probe is None else prior_trials(probe))),
        gate=gate,
    )


def _search(plan: StudyPlan, packing: Packing, searcher: TruthfulOptunaSearch, storage: BaseStorage) -> None:
    settings = plan.settings
    searcher.study.set_user_attr(PRICE, settings.price_per_hour)
    searcher.share = {"cpus": packing.cpus, "gpus": packing.gpus}
    finished = searcher.study.get_trials(deepcopy=False, states=[state for state in TrialState if state.is_finished()])
    budget, watch = _budget(plan, packing, searcher), EnvironmentWatch()
    scheduler = _scheduler(plan, searcher)
    num_left = settings.num_trials - len(finished) + searcher.num_beside()
    if num_left > 0:
        num_trials = _num_own(finished) + num_left
        progress = StudyProgress(searcher, scheduler, budget, num_trials=num_trials)
        next_trials = NextTrials(searcher, scheduler, num_new=num_left - len(searcher.paused()))
        limiter = ConcurrencyLimiter(TuneSearcher(searcher, next_trials), max_concurrent=packing.concurrency)
        tune_scheduler = TuneScheduler(scheduler)
        cluster_watch = ClusterWatch(limiter, packing)
        live = LiveReport(settings.storage, settings.study, (plan.folder.location / REPORT).uri)
        with progress, cluster_watch, live, _sigterm_as_ctrl_c():
            try:
                run_trials(
                    plan.folder,
                    packing,
                    searcher,
                    limiter=limiter,
                    scheduler=tune_scheduler,
                    stopper=CombinedStopper(BudgetStopper(budget), watch, DatabaseWatch(storage)),
                    callbacks=[
                        PauseMark(tune_scheduler),
                        *make_loggers(settings.log, settings.study),
                        *_callbacks(plan.folder, searcher, budget, watch),
                        *_flat_watch(plan, searcher, budget, num_trials),
                        progress,
                        cluster_watch,
                        live,
                    ],
                    surroundings=_surroundings(plan, packing),
                    num_trials=_NO_LIMIT if pauses(settings.scheduler) else num_left,
                )
            finally:
                searcher.release()  # raises in one line what Tune wrapped in its own, when the database is lost
    end_study(settings, searcher, budget, watch)
    if pauses(settings.scheduler):
        CheckpointJournal(searcher, plan.folder.location.filesystem)  # deletes those of trials that never went on


def _scheduler(plan: StudyPlan, searcher: TruthfulOptunaSearch) -> Scheduler:
    """As told, with what an earlier driver's trials came to."""
    scheduler = make_scheduler(
        plan.settings.scheduler,
        num_epochs=plan.space.num_epochs,
        num_trials=plan.settings.num_trials,
        grace_epochs=plan.settings.grace_epochs,
        warmup_epochs=plan.space.most("warmup_epochs", TrainingConfig().warmup_epochs),
    )
    recall(scheduler, searcher.study.get_trials(deepcopy=False))
    return scheduler


def _num_own(trials: list[FrozenTrial]) -> int:
    return sum(FROM_STUDY not in trial.user_attrs for trial in trials)


def _budget(plan: StudyPlan, packing: Packing, searcher: TruthfulOptunaSearch) -> Budget:
    trials = searcher.study.get_trials(deepcopy=False)
    return make_budget(plan.settings, plan.seconds, trials, cpus=packing.cpus, gpus=packing.gpus)


def _flat_watch(
    plan: StudyPlan, searcher: TruthfulOptunaSearch, budget: Budget, num_trials: int
) -> list[tune.Callback]:
    if not plan.settings.stop_when_flat:
        return []
    dataset = PreparedDataset.open(plan.record.dataset, fingerprint=plan.record.fingerprint)
    labels_PT = dataset.photographs("validation").labels_per_patient(dataset.tasks)
    return [FlatWatch(searcher, budget, PatientCounts.of(labels_PT, dataset.tasks), num_trials=num_trials)]


def _surroundings(plan: StudyPlan, packing: Packing) -> dict[str, object]:
    return {
        "dataset": plan.record.dataset,
        "fingerprint": plan.record.fingerprint,
        "storage": plan.folder.location.uri,
        "cpus": packing.cpus,
        "gpus": packing.gpus,
        "checkpoint_seconds": plan.settings.checkpoint_seconds,
        "known_pattern": plan.record.known_pattern,
        "costs": (plan.folder.location / COSTS).uri,
    }


def _callbacks(
    folder: StudyFolder, searcher: TruthfulOptunaSearch, budget: Budget, watch: EnvironmentWatch
) -> list[tune.Callback]:
    journal = CheckpointJournal(searcher, folder.location.filesystem)
    return [journal, SaveListener(watch), CrashCounter(budget, searcher)]


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
