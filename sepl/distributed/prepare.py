"""The chunks of a preparation as Ray tasks, on this machine or on a cluster.

What a chunk is and what is done with it is the same as without Ray (`sepl.data.preparation`), and so are the bytes.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import cv2
import ray
from ray.exceptions import RayError, RayTaskError

from sepl.data.cohort.cohort import Cohort
from sepl.distributed.connect import connect
from sepl.distributed.sight import check_cohort
from sepl.errors import SeplError
from sepl.execution.executor import WorkerError

Item = TypeVar("Item")
Result = TypeVar("Result")

_TRIES = 4
"""Of an item: a node or two may be lost, but what kills whatever computes it is not computed for ever."""
_AHEAD = 3
"""Items handed out for each CPU: none is idle, and an end has little to take back."""


class RayExecutor:
    """Runs each item as a task of its own, on one CPU of any node.

    A task whose worker or node is lost runs again elsewhere; results that were had need no doing again.
    """

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Generator[Result, None, None]:
        """`function` of each item, as they come; results are small, for they all pass through the caller.

        Raises the first SeplError, and WorkerError when an item raised anything else or was lost too often. Tasks that
        still run then, or when the caller closes this, are cancelled.
        """
        if not len(items):
            return
        # retried here and not by Ray, which would repeat without end what runs out of memory
        task: Any = ray.remote(num_cpus=1, max_retries=0)(_apply)
        work = ray.put(function)
        waiting = deque((item, _TRIES) for item in items)
        running: dict[ray.ObjectRef, tuple[Item, int]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < _most_at_once():
                    item, tries = waiting.popleft()
                    running[task.remote(work, item)] = item, tries
                done = ray.wait(list(running), num_returns=1)[0][0]
                item, tries = running.pop(done)
                if _is_lost(done, tries):
                    waiting.appendleft((item, tries - 1))
                else:
                    yield _result(done)
        finally:
            _cancel(running)

    def check_sight(self, cohort: Cohort, out: str) -> None:
        """Raises StorageError unless every machine sees the photographs and where the dataset is to be."""
        check_cohort(cohort.images_folder, cohort.images, out)


@contextmanager
def ray_executor(address: str | None, num_workers: int | None = None) -> Iterator[RayExecutor]:
    """An executor on the cluster at `address`, as `sepl.distributed.connect` says. Raises ConfigError.

    `num_workers` is the number of CPUs of a Ray of this machine.
    """
    with connect(address, num_cpus=num_workers):
        yield RayExecutor()


def _apply(function: Callable[[Any], Any], item: Any) -> Any:
    """An error of ours is a value: Ray would wrap it in others."""
    cv2.setNumThreads(1)  # tasks are the parallelism
    try:
        return function(item)
    except SeplError as problem:
        return problem


def _most_at_once() -> int:
    """Nodes come and go meanwhile."""
    return max(1, _AHEAD * int(ray.cluster_resources().get("CPU", 0)))


def _is_lost(done: ray.ObjectRef, tries: int) -> bool:
    """Whether what computed it died and it is to be tried again. Raises WorkerError when it is not to be."""
    try:
        ray.get(done)
    except RayError as problem:
        if tries > 1 and not isinstance(problem, RayTaskError):
            return True
        said = str(problem).strip().splitlines()
        raise WorkerError(
            f"the cluster gave up on a part ({said[-1] if said else type(problem).__name__}); "
            "the same command goes on from what is done"
        ) from problem
    return False


def _result(done: ray.ObjectRef) -> Any:
    result = ray.get(done)
    if isinstance(result, SeplError):
        raise result
    return result


def _cancel(tasks: Iterable[ray.ObjectRef]) -> None:
    if not ray.is_initialized():
        return
    for task in tasks:
        with suppress(RayError):  # the cluster may be what ended
            ray.cancel(task)
