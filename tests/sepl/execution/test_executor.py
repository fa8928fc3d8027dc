"""Work in processes: all of it is done, whatever their number, and a dead worker is told in one line."""

import os
import time

import pytest

from sepl.errors import ConfigError
from sepl.execution import executor as parallel
from sepl.execution.executor import LocalExecutor, WorkerError


def double(item):
    return item * 2


def work_where(item):
    time.sleep(0.01)
    return os.getpid()


def fail_at_three(item):
    if item == 3:
        raise ValueError("three")
    return item


def die(item):
    os._exit(9)


@pytest.fixture
def _at_once(monkeypatch):
    monkeypatch.setattr(parallel, "_ALONE_SECONDS", -1.0)


@pytest.mark.parametrize("num_items", [0, 1, 7])
def test_one_worker_does_all_in_this_process(num_items):
    with LocalExecutor(1) as executor:
        assert list(executor.map(double, range(num_items))) == [2 * item for item in range(num_items)]
        assert set(executor.map(work_where, range(num_items))) <= {os.getpid()}


@pytest.mark.usefixtures("_at_once")
def test_processes_do_each_item_once():
    with LocalExecutor(2) as executor:
        assert sorted(executor.map(double, range(50))) == [2 * item for item in range(50)]
        assert os.getpid() not in set(executor.map(work_where, range(20)))


def test_little_work_starts_no_process():
    with LocalExecutor(2) as executor:
        assert set(executor.map(work_where, range(5))) == {os.getpid()}


@pytest.mark.usefixtures("_at_once")
def test_an_error_of_an_item_is_raised_here():
    with LocalExecutor(2) as executor, pytest.raises(ValueError, match="three"):
        list(executor.map(fail_at_three, range(20)))


@pytest.mark.usefixtures("_at_once")
def test_a_worker_that_dies_is_told_in_one_line():
    with LocalExecutor(2) as executor, pytest.raises(WorkerError, match="the same command goes on"):
        list(executor.map(die, range(5)))


@pytest.mark.parametrize("num_workers", [0, -2])
def test_no_workers_are_refused(num_workers):
    with pytest.raises(ConfigError, match=f"num_workers should be 1 or more, was {num_workers}"):
        LocalExecutor(num_workers)
