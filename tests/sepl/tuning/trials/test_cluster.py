"""Several calls at once on a real Ray: all results, and the problem of one as it is."""

import os
import signal
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from ray import cloudpickle

from sepl.errors import DatasetError
from sepl.tuning.trials.cluster import Cluster, Tell, connect
from sepl.tuning.trials.packing import Packing

pytestmark = pytest.mark.slow

ONE_CPU_EACH = Packing(cpus=1, gpus=0, concurrency=2)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        cloudpickle.register_pickle_by_value(sys.modules[__name__])
        with connect(None) as running:
            yield running
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def _square(number: int, tell: Tell) -> int:
    tell(f"squaring {number}")
    return number * number


def _refuse(tell: Tell) -> int:
    raise DatasetError("changed since the study began")


def test_every_result_comes_and_every_line_is_told(cluster: Cluster) -> None:
    told: list[str] = []

    results = cluster.run_all(ONE_CPU_EACH, [partial(_square, n) for n in range(5)], "squares", told.append)

    assert sorted(results) == [0, 1, 4, 9, 16]
    assert sorted(told) == [f"squaring {number}" for number in range(5)]


def test_the_problem_of_one_is_raised_as_it_is(cluster: Cluster) -> None:
    with pytest.raises(DatasetError, match="changed since the study began"):
        list(cluster.run_all(ONE_CPU_EACH, [_refuse, partial(_square, 2)], "squares"))


def _die_once(mark: Path, tell: Tell) -> int:
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 7


def test_a_process_that_dies_is_tried_once_more(cluster: Cluster, tmp_path: Path) -> None:
    told: list[str] = []

    results = cluster.run_all(ONE_CPU_EACH, [partial(_die_once, tmp_path / "mark")], "a call", told.append)

    assert list(results) == [7]
    assert told[0].startswith("a call broke off on the cluster")
    assert told[0].endswith("; once more")


def test_nothing_to_do_is_done_at_once(cluster: Cluster) -> None:
    assert list(cluster.run_all(ONE_CPU_EACH, [], "squares")) == []
