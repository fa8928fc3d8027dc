"""Work in several processes of this machine. Ray does the same over many (sepl/distributed/prepare.py).

Processes and not threads: the codecs of DICOM hold Python's lock while they decode, so threads would share one core.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.synchronize import Event
from types import TracebackType
from typing import Protocol, Self, TypeVar

import cv2

from sepl.errors import ConfigError, SeplError
from sepl.execution.cores import num_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

_ALONE_SECONDS = 1.0
"""Processes take about as long to start; what is done sooner is done without them."""

_stop: Event | None = None
"""In a worker process: set when the run is being stopped."""


class WorkerError(SeplError, RuntimeError):
    """A worker process died; what it had finished is kept."""


class StoppedError(SeplError, RuntimeError):
    """Raised inside a worker when the run is being stopped."""


class Executor(Protocol):
    """What runs the parts of a preparation: this machine's processes, or a cluster."""

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """`function` of each item, as they come; function, items and results can be pickled."""
        ...


class LocalExecutor:
    """Up to `num_workers` processes, started once there is much to do, stopped at the end of the context.

    What takes a second is done in this process, and all of it with one worker.
    """

    def __init__(self, num_workers: int | None = None) -> None:
        """`num_workers` is one for each core unless given. Raises ConfigError when it is below 1."""
        self._num_workers = num_cores() if num_workers is None else num_workers
        if self._num_workers < 1:
            raise ConfigError(f"num_workers should be 1 or more, was {num_workers}")
        self._pool: ProcessPoolExecutor | None = None
        self._context = get_context("spawn")  # not forked: the caller may hold threads that a fork would break
        self._stop = self._context.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if problem is not None:
            self._stop.set()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        start, done = time.monotonic(), 0
        while done < len(items) and not (self._pool or self._needs_help(start, len(items) - done)):
            with _one_opencv_thread():
                result = function(items[done])
            yield result
            done += 1
        if done < len(items):
            if self._pool is None:
                self._pool = ProcessPoolExecutor(self._num_workers, self._context, _start_worker, (self._stop,))
            yield from _as_they_come(self._pool, function, items[done:], 3 * self._num_workers)

    def _needs_help(self, start: float, num_left: int) -> bool:
        return self._num_workers > 1 and num_left > 1 and time.monotonic() - start > _ALONE_SECONDS


def stop_if_asked() -> None:
    """Ends the item in work when the run is being stopped; called between photographs."""
    if _stop is not None and _stop.is_set():
        raise StoppedError("the run is being stopped")


def _as_they_come(
    pool: ProcessPoolExecutor, function: Callable[[Item], Result], items: Sequence[Item], most: int
) -> Iterator[Result]:
    """Results as they come, with at most `most` items handed out: an item in the queue cannot be taken back."""
    waiting = iter(items)
    running: set[Future[Result]] = set()
    try:
        while True:
            for item in waiting:
                running.add(pool.submit(function, item))
                if len(running) >= most:
                    break
            if not running:
                return
            done = next(as_completed(running))
            running.remove(done)
            yield done.result()
    except BrokenProcessPool:
        raise WorkerError(
            "a worker process died, most often because memory ran out; the same command goes on from what is done"
            " (--num-workers takes fewer)"
        ) from None


def _start_worker(stop: Event) -> None:
    import signal

    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent tells us to stop
    cv2.setNumThreads(1)  # the processes are the parallelism
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent killed outright tells its workers nothing; they would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _one_opencv_thread:  # noqa: N801  # a context manager reads as a verb
    """OpenCV's own threads would fight over the cores that other work of the machine has."""

    def __enter__(self) -> None:
        self._before = cv2.getNumThreads()
        cv2.setNumThreads(1)

    def __exit__(self, *exception: object) -> None:
        cv2.setNumThreads(self._before)
