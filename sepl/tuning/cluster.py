"""The Ray cluster that a study runs on: one started here, or one that is already there."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import ray

from sepl.errors import StudyError
from sepl.tuning.packing import Node, Packing
from sepl.tuning.ray_patches import start_ray, trials_in_prestarted_workers

T = TypeVar("T")

# Imported by the workers that Ray starts ahead of need: torch and timm take 7 s. Only on a cluster of our own; a
# lasting one takes it from `ray start --system-config`.
_PRELOADED = ["sepl.tuning.trial_process", "sepl.tuning.trainable"]

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

    def run(self, packing: Packing, function: Callable[[], T]) -> T:
        """`function()` where the GPUs are: here when the cluster is this machine, else in a Ray task."""
        if self.is_local:
            return function()
        task = ray.remote(num_cpus=packing.cpus, num_gpus=1 if packing.gpus else 0, max_retries=0)(_call)
        return ray.get(task.remote(function))


def _call(function: Callable[[], T]) -> T:
    return function()


@contextmanager
def connect(address: str | None) -> Iterator[Cluster]:
    """A cluster of this machine's CPUs and GPUs when `address` is None, else the one at `address` ('auto').

    Raises StudyError when there is none at that address. A connection that exists already is used and left.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if ray.is_initialized():
        yield Cluster(_nodes(), is_local=address is None)
        return
    try:
        _initialise(address)
        with trials_in_prestarted_workers() if address is None else nullcontext():
            yield Cluster(_nodes(), is_local=address is None)
    finally:
        ray.shutdown()


def _initialise(address: str | None) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        start_ray(len(os.sched_getaffinity(0)), _PRELOADED, **quiet)
        return
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as problem:
        raise StudyError(f"--address should be that of a running Ray cluster, was {address!r}: {problem}") from problem


def _nodes() -> tuple[Node, ...]:
    return tuple(
        Node(cpus=int(node["Resources"].get("CPU", 0)), gpus=int(node["Resources"].get("GPU", 0)))
        for node in ray.nodes()
        if node["Alive"]
    )
