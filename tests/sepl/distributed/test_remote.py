"""A long call on a cluster: its lines come as they are said, its errors in one."""

import sys
import time
from collections.abc import Callable

import pytest
import ray
from clusters import running_cluster
from ray import cloudpickle

from sepl.distributed.connect import connect
from sepl.distributed.remote import Tell, run_remotely
from sepl.errors import StorageError
from sepl.execution.executor import WorkerError

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # Ray's processes cannot import a test module

pytestmark = pytest.mark.slow


def say_twice(tell: Tell) -> int:
    tell("first")
    time.sleep(1)
    tell("second")
    return 3


def refuse(tell: Tell) -> None:
    tell("about to refuse")
    raise StorageError("the disk is full")


def break_down(tell: Tell) -> None:
    raise ZeroDivisionError("division by zero")


@ray.remote(num_cpus=1)
def busy() -> None:
    time.sleep(4)


def remotely(function: Callable[[Tell], object], lines: list[tuple[float, str]], waits: list[float]) -> object:
    return run_remotely(
        function,
        num_cpus=1,
        num_gpus=0,
        tell=lambda line: lines.append((time.monotonic(), line)),
        what="the refit",
        waiting=lambda: waits.append(time.monotonic()),
        wait_seconds=1.0,
    )


def test_lines_results_and_errors_come_back_as_they_are() -> None:
    lines: list[tuple[float, str]] = []
    waits: list[float] = []

    with running_cluster(0, 1) as cluster, connect(cluster.address):
        assert remotely(say_twice, lines, waits) == 3
        (first_at, first), (second_at, second) = lines
        assert (first, second) == ("first", "second")
        assert second_at - first_at > 0.5
        with pytest.raises(StorageError, match=r"^the disk is full$"):
            remotely(refuse, lines, waits)
        assert lines[-1][1] == "about to refuse"
        with pytest.raises(WorkerError, match=r"^the refit broke off on the cluster: .*division by zero$") as told:
            remotely(break_down, lines, waits)
        assert "\n" not in str(told.value)
        waits.clear()
        still_busy = busy.remote()
        time.sleep(0.5)
        remotely(say_twice, lines, waits)
        assert waits  # for the only CPU
        ray.get(still_busy)
