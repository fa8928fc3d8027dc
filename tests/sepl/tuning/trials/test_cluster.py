"""Several calls at once: all results, the problem of one as it is, and what dies tried once more."""

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ray import cloudpickle
from unsearched import CLUSTER

from sepl.errors import DatasetError
from sepl.execution.executor import WorkerError
from sepl.tuning.trials import cluster as cluster_module
from sepl.tuning.trials.cluster import Tell, connect
from sepl.tuning.trials.packing import Packing

ONE_CPU_EACH = Packing(cpus=1, gpus=0, concurrency=2)


@pytest.fixture
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def call(function: Callable[[Tell], Any], *, tell: Tell, **_: object) -> Any:
        return function(tell)

    monkeypatch.setattr(cluster_module, "run_remotely", call)


def _square(number: int, tell: Tell) -> int:
    tell(f"squaring {number}")
    return number * number


def _refuse(tell: Tell) -> int:
    raise DatasetError("changed since the study began")


def _break_once(mark: Path, tell: Tell) -> int:
    if not mark.exists():
        mark.touch()
        raise WorkerError("a call broke off on the cluster: its process died")
    return 7


def _die_once(mark: Path, tell: Tell) -> int:
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 7


@pytest.mark.usefixtures("_in_this_process")
def test_every_result_comes_and_every_line_is_told() -> None:
    told: list[str] = []

    results = CLUSTER.run_all(ONE_CPU_EACH, [partial(_square, n) for n in range(5)], "squares", told.append)

    assert sorted(results) == [0, 1, 4, 9, 16]
    assert sorted(told) == [f"squaring {number}" for number in range(5)]


@pytest.mark.usefixtures("_in_this_process")
def test_the_problem_of_one_is_raised_as_it_is() -> None:
    with pytest.raises(DatasetError, match="changed since the study began"):
        list(CLUSTER.run_all(ONE_CPU_EACH, [_refuse, partial(_square, 2)], "squares"))


@pytest.mark.usefixtures("_in_this_process")
def test_what_broke_off_is_tried_once_more_and_said(tmp_path: Path) -> None:
    told: list[str] = []

    results = CLUSTER.run_all(ONE_CPU_EACH, [partial(_break_once, tmp_path / "mark")], "a call", told.append)

    assert list(results) == [7]
    assert told == ["a call broke off on the cluster: its process died; once more"]


def test_nothing_to_do_is_done_at_once() -> None:
    assert list(CLUSTER.run_all(ONE_CPU_EACH, [], "squares")) == []


@pytest.mark.slow
def test_on_a_real_ray_a_process_that_dies_costs_one_call_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    calls = [partial(_die_once, tmp_path / "mark"), partial(_square, 2), partial(_square, 3)]
    told: list[str] = []

    with connect(None) as cluster:
        results = sorted(cluster.run_all(ONE_CPU_EACH, calls, "a call", told.append))
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])

    assert results == [4, 7, 9]
    assert next(line for line in told if line.endswith("; once more")).startswith("a call broke off on the cluster")
