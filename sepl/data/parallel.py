"""An ordered map over threads that never runs far ahead of its consumer, so that memory stays flat."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 4  # items in flight for each worker: enough to keep all busy while the consumer writes a shard


def ordered_map(function: Callable[[Item], Result], items: Iterable[Item], num_workers: int) -> Iterator[Result]:
    """`function` of each item, in the order of the items, computed by `num_workers` threads."""
    pending: deque[Future[Result]] = deque()
    executor = ThreadPoolExecutor(num_workers, thread_name_prefix="decode")
    try:
        for item in items:
            pending.append(executor.submit(function, item))
            if len(pending) > _AHEAD * num_workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)  # Ctrl-C ends after the pictures being decoded now
