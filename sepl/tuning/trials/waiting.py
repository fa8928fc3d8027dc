"""What a study waits for when nothing moves, and the machines that join it under way."""

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import ray
from ray.autoscaler.sdk import request_resources
from ray.tune import Callback
from ray.tune.search import ConcurrencyLimiter

from sepl.distributed.connect import Node, alive_nodes
from sepl.tuning.trials.packing import Packing, concurrency_on

WAIT_SECONDS = 30.0
"""Without progress, until what is waited for is told, and told again."""
_LOOK_SECONDS = 2.0


def tell_waiting(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  # beside the progress, as that of a preparation


def describe_wait(cpus: int, gpus: float = 0.0) -> str:
    """What a trial or the refit waits for."""
    free, there = ray.available_resources(), ray.cluster_resources()
    share = f" and {gpus:g} of a GPU" if gpus else ""
    kinds = ("CPU", "GPU") if gpus else ("CPU",)
    counts = [f"{free.get(kind, 0):g} of {there.get(kind, 0):g} {kind}s" for kind in kinds]
    return f"waiting for a machine with {cpus} CPUs{share} to be free; the cluster has {' and '.join(counts)} free"


def wait_for_cpus() -> tuple[Node, ...]:
    """The machines of the cluster as soon as one has CPUs: a head often has none, and workers come after it."""
    nodes, told_at = alive_nodes(), time.monotonic()
    if any(node.cpus for node in nodes):
        return nodes
    request_resources(num_cpus=1)  # an autoscaler starts no machine that nobody asks for
    while not any(node.cpus for node in nodes):
        if time.monotonic() - told_at >= WAIT_SECONDS:
            tell_waiting(f"waiting for a machine with CPUs to join the Ray cluster, which has {len(nodes)} without")
            told_at = time.monotonic()
        time.sleep(_LOOK_SECONDS)
        nodes = alive_nodes()
    request_resources(num_cpus=0)
    return nodes


class ClusterWatch(Callback):
    """As many trials at once as the cluster has room for at the time, and a line when none can start.

    Trials in training are told by the study's progress; an epoch may take long.
    """

    def __init__(
        self, limiter: ConcurrencyLimiter, packing: Packing, tell: Callable[[str], None] = tell_waiting
    ) -> None:
        self._limiter, self._packing, self._tell = limiter, packing, tell
        self._running: set[str] = set()
        self._moved_at = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="cluster-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks into a snapshot that is never read

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
        self._running.add(trial.trial_id)
        self._moved_at = time.monotonic()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
        self._end(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
        self._end(trial)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
        self._end(trial)

    def _end(self, trial: Any) -> None:
        self._running.discard(trial.trial_id)
        self._moved_at = time.monotonic()

    def _watch(self) -> None:
        while not self._done.wait(_LOOK_SECONDS):
            self._follow_cluster()
            if not self._running and time.monotonic() - self._moved_at >= WAIT_SECONDS:
                self._tell(describe_wait(self._packing.cpus, self._packing.gpus))
                self._moved_at = time.monotonic()

    def _follow_cluster(self) -> None:
        room = max(1, concurrency_on(alive_nodes(), self._packing))
        if room > self._limiter.max_concurrent:
            self._tell(f"the cluster has grown: up to {room} trials at once, {self._limiter.max_concurrent} before")
        self._limiter.set_max_concurrency(room)
