"""The chunks of a preparation through Ray Data, on this machine or on a cluster.

What a chunk is and what is done with it is the same as without Ray (`sepl.data.preparation`), and so are the bytes.
"""

import logging
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import cv2
import ray
from ray.data import DataContext
from ray.exceptions import RayError

from sepl.data.cohort.cohort import Cohort
from sepl.distributed.connect import connect
from sepl.distributed.sight import check_cohort
from sepl.errors import SeplError
from sepl.execution.executor import WorkerError

Item = TypeVar("Item")
Result = TypeVar("Result")


class RayDataExecutor:
    """Runs each item as a task of its own, on one CPU of any node.

    A task whose node is lost runs again elsewhere; chunks and shards that are written need no doing again.
    """

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """`function` of each item, as they come. Raises the first SeplError, WorkerError when Ray gives up."""
        if not len(items):
            return
        blocks = ray.data.from_items([{"item": pickle.dumps(item)} for item in items], override_num_blocks=len(items))
        # tasks and not actors: actors that hold every CPU leave none to read with, and Ray Data waits for ever
        results = blocks.map_batches(partial(_apply, function=function), batch_size=1, num_cpus=1)
        try:
            for row in results.iter_rows():
                yield _result(row)
        except RayError as problem:
            said = str(problem).strip().splitlines()
            raise WorkerError(
                f"the cluster gave up on a part ({said[-1] if said else type(problem).__name__}); "
                "the same command goes on from what is done"
            ) from problem

    def check_sight(self, cohort: Cohort, out: str) -> None:
        """Raises StorageError unless every machine sees the photographs and where the dataset is to be."""
        check_cohort(cohort.images_folder, cohort.images, out)


@contextmanager
def ray_data_executor(address: str | None, num_workers: int | None = None) -> Iterator[RayDataExecutor]:
    """An executor on the cluster at `address`, as `sepl.distributed.connect` says. Raises ConfigError.

    `num_workers` is the number of CPUs of a Ray of this machine.
    """
    with connect(address, num_cpus=num_workers), _quiet():
        yield RayDataExecutor()


@contextmanager
def _quiet() -> Iterator[None]:
    """Progress is told once, by `sepl.execution.progress`."""
    context, logger = DataContext.get_current(), logging.getLogger("ray.data")
    before = context.enable_progress_bars, logger.level
    context.enable_progress_bars = False
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        context.enable_progress_bars = before[0]
        logger.setLevel(before[1])


def _apply(batch: Any, function: Callable[[Any], Any]) -> dict[str, list[bytes]]:
    """A batch of one item. An error of ours is a value: Ray would retry it, and wrap it in others."""
    cv2.setNumThreads(1)  # tasks are the parallelism
    try:
        result = function(pickle.loads(batch["item"][0]))  # noqa: S301  # from our own driver, a moment ago
    except SeplError as problem:
        result = problem
    return {"result": [pickle.dumps(result)]}


def _result(row: dict[str, Any]) -> Any:
    result = pickle.loads(row["result"])  # noqa: S301  # from our own task
    if isinstance(result, SeplError):
        raise result
    return result
