"""The Ray cluster that a study runs on: one started here, or one that is already there."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import ray

from sepl.data.dataset.dataset import PreparedDataset
from sepl.distributed import connect as distributed
from sepl.distributed.connect import Node, is_this_machine
from sepl.distributed.ray_patches import trials_in_prestarted_workers
from sepl.distributed.remote import Tell, run_remotely
from sepl.distributed.sight import check_every_node
from sepl.errors import StorageError
from sepl.execution.executor import WorkerError
from sepl.storage import resolve
from sepl.tuning.record.record import RECORD
from sepl.tuning.trials.packing import Packing
from sepl.tuning.trials.waiting import WAIT_SECONDS, describe_wait, tell_waiting, wait_for_cpus

T = TypeVar("T")

# Imported by the workers that Ray starts ahead of need: torch and timm take 7 s. Only on a cluster of our own; a
# lasting one takes it from `ray start --system-config`.
_PRELOADED = ["sepl.tuning.trials.trial_process", "sepl.tuning.trials.trainable"]

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",  # with the next: 1 line for 10 trials instead of 219
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # Tune's snapshots are never read: Optuna's storage is the study's memory
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # TensorBoard's alone imports torch in the driver
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # keeps quiet about a changed default
}


@dataclass(frozen=True)
class Cluster:
    """A connection; `nodes` as they are now."""

    nodes: tuple[Node, ...]
    is_local: bool

    def run(self, packing: Packing, function: Callable[[Tell], T], what: str, tell: Tell = print) -> T:
        """`function(tell)` where the GPUs are: here when the cluster is this machine, else in a Ray task.

        Raises what `function` raises of ours, and WorkerError for anything else that ends the task; `what` names it.
        """
        if self.is_local:
            return function(tell)
        return self.run_apart(packing, function, what, tell)

    def run_apart(self, packing: Packing, function: Callable[[Tell], T], what: str, tell: Tell = print) -> T:
        """As `run`, but always in a Ray task: what loads torch stays out of a driver that is to search yet."""
        gpus = 1 if packing.gpus else 0
        return run_remotely(
            function,
            num_cpus=packing.cpus,
            num_gpus=gpus,
            tell=tell,
            what=what,
            waiting=lambda: tell_waiting(f"{what}: {describe_wait(packing.cpus, gpus)}"),
            wait_seconds=WAIT_SECONDS,
        )

    def run_all(
        self, packing: Packing, functions: Sequence[Callable[[Tell], T]], what: str, tell: Tell = print
    ) -> Iterator[T]:
        """What functions come to, each in a Ray task with a trial's share, in the order in which they end.

        As many go at once as trials do. One whose process died is tried once more. Raises as `run`; those that have not
        begun are then left out.
        """
        pool = ThreadPoolExecutor(packing.concurrency, thread_name_prefix="task")
        try:
            tasks = [pool.submit(self._run_twice_at_most, packing, function, what, tell) for function in functions]
            for task in as_completed(tasks):
                yield task.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _run_twice_at_most(self, packing: Packing, function: Callable[[Tell], T], what: str, tell: Tell) -> T:
        try:
            return self._run_in_task(packing, function, what, tell)
        except WorkerError as problem:
            tell(f"{problem}; once more")
            return self._run_in_task(packing, function, what, tell)

    def _run_in_task(self, packing: Packing, function: Callable[[Tell], T], what: str, tell: Tell) -> T:
        return run_remotely(
            function,
            num_cpus=packing.cpus,
            num_gpus=packing.gpus,
            tell=tell,
            what=what,
            waiting=lambda: tell_waiting(f"{what}: {describe_wait(packing.cpus, packing.gpus)}"),
            wait_seconds=WAIT_SECONDS,
        )

    def check_sight(self, dataset: str, fingerprint: str, storage: str) -> None:
        """Raises StorageError unless every machine sees the dataset, and the study's record in its storage."""
        if not self.is_local:
            check_every_node(partial(PreparedDataset.open, dataset, fingerprint=fingerprint), "--data")
            check_every_node(partial(_find_record, storage), "--storage")


def _find_record(storage: str) -> None:
    record = resolve(storage) / RECORD
    if not record.exists():
        raise StorageError(f"no {record.uri}")


@contextmanager
def connect(address: str | None) -> Iterator[Cluster]:
    """The cluster at `address`, as `sepl.distributed.connect` says, made ready for trials. Raises ConfigError."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    is_local = is_this_machine(address)
    is_own = is_local and not ray.is_initialized()
    with distributed.connect(address, preload=_PRELOADED), trials_in_prestarted_workers() if is_own else nullcontext():
        yield Cluster(wait_for_cpus(), is_local)
