"""One process, many, Ray on this machine and a cluster of nodes, on a disk and in an object store: the same bytes."""

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import ray
from builders import build_cohort
from clusters import running_cluster
from ray import cloudpickle
from s3 import new_place, serve_s3

from sepl.data.cohort.cohort import read_cohort
from sepl.data.dataset import shards
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.preparation.prepare import prepare
from sepl.distributed.prepare import RayExecutor, ray_executor
from sepl.errors import StorageError
from sepl.execution import executor as parallel
from sepl.execution.executor import LocalExecutor, WorkerError
from sepl.storage import resolve

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # Ray's processes cannot import a test module


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort")
    cohort_file = build_cohort(folder, num_patients=30)
    pictures = sorted((folder / "images").iterdir())
    pictures[7].write_bytes(b"not a photograph")
    pictures[20].unlink()
    return read_cohort(cohort_file)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(shards, "SHARD_PHOTOGRAPHS", 7)


@pytest.fixture(scope="module")
def alone(cohort, tmp_path_factory):
    """Every file of the dataset as one process writes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SHARD_PHOTOGRAPHS", 7)
        out = tmp_path_factory.mktemp("alone") / "out"
        prepare(cohort, out, 32, num_workers=1)
    return files_of(out)


def files_of(uri):
    """Content by name; thumbnails and whatever else lies in folders included."""
    folder, found = resolve(uri), {}
    for place in folder.list_folder():
        if place.is_folder():
            found |= {f"{place.name}/{name}": content for name, content in files_of(place.uri).items()}
        else:
            found[place.name] = place.read_bytes()
    return found


def test_processes_give_the_same_bytes(cohort, alone, tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "_ALONE_SECONDS", -1.0)

    prepare(cohort, tmp_path / "out", 32, num_workers=3)

    assert files_of(tmp_path / "out") == alone


@pytest.mark.slow
def test_ray_on_this_machine_gives_the_same_bytes_on_disk_and_in_an_object_store(cohort, alone, tmp_path):
    with serve_s3() as endpoint, ray_executor(None, 2) as executor:
        place = new_place(endpoint)
        for out in (tmp_path / "out", place):
            prepare(cohort, out, 32, executor=executor)

            assert files_of(out) == alone
        assert prepare(cohort, place, 32, executor=executor).unchanged
        PreparedDataset.open(place, cache=tmp_path / "cache").verify()
    assert not ray.is_initialized()


@pytest.mark.slow
def test_a_cluster_of_three_nodes_gives_the_same_bytes_on_disk_and_in_an_object_store(cohort, alone, tmp_path):
    with serve_s3() as endpoint, running_cluster(1, 1, 1) as cluster, ray_executor(cluster.address) as executor:
        for out in (tmp_path / "out", new_place(endpoint)):
            prepare(cohort, out, 32, executor=executor)

            assert files_of(out) == alone
        nodes = set(executor.map(partial(node_beside_another, tmp_path / "nodes"), range(30)))
    assert len(nodes) > 1


@pytest.mark.slow
def test_an_error_of_a_part_comes_back_as_it_is():
    with ray_executor(None, 1) as executor, pytest.raises(StorageError, match="the disk is full"):
        list(executor.map(refuse, range(3)))


@pytest.mark.slow
def test_results_are_those_of_the_local_executor_also_when_a_worker_is_killed_midway(tmp_path):
    with LocalExecutor(1) as local:
        alone = sorted(local.map(square, range(20)))

    with ray_executor(None, 2) as executor:
        undisturbed = sorted(executor.map(square, range(20)))
        disturbed = sorted(executor.map(partial(square_or_die_once, tmp_path), range(20)))

    assert undisturbed == disturbed == alone
    assert lines(tmp_path / "begun").count("7") == 2  # the one whose worker was killed
    assert len(lines(tmp_path / "begun")) == 21  # and no other


@pytest.mark.slow
def test_a_lost_node_costs_nothing_that_was_finished(tmp_path):
    with running_cluster(1) as cluster, ray_executor(cluster.address) as executor:
        node = cluster.add_node(num_cpus=2)
        cluster.wait_for_nodes()
        results = executor.map(partial(slow_square, tmp_path), range(16))
        before = [next(results) for _ in range(6)]
        finished = len(lines(tmp_path / "finished"))
        cluster.remove_node(node, allow_graceful=False)
        after = list(results)

    assert sorted(before + after) == [item * item for item in range(16)]
    assert len(lines(tmp_path / "finished")) <= 16 + 3  # a result on its way may be lost with its node
    assert finished >= 6


@pytest.mark.slow
def test_a_part_that_kills_every_worker_ends_the_run_in_one_line():
    with ray_executor(None, 1) as executor, pytest.raises(WorkerError, match="the cluster gave up on a part") as told:
        list(executor.map(die, range(2)))

    assert "\n" not in str(told.value)


@pytest.mark.slow
def test_few_parts_are_handed_out_ahead_and_those_are_cancelled_when_the_caller_stops(tmp_path):
    with ray_executor(None, 1) as executor:
        results = executor.map(partial(slow_square, tmp_path), range(50))
        next(results)
        results.close()
        time.sleep(2.0)

    assert len(lines(tmp_path / "finished")) <= 2


def test_no_items_need_no_cluster():
    assert list(RayExecutor().map(square, [])) == []


def node_beside_another(seen, item):
    """The node that computes this, when another has begun too: one node alone may do many short parts before the
    others have started a worker."""
    node = ray.get_runtime_context().get_node_id()
    seen.mkdir(exist_ok=True)
    (seen / node).touch()
    until = time.monotonic() + 120
    while len(list(seen.iterdir())) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    return node


def refuse(item):
    raise StorageError("the disk is full")


def square(item):
    return item * item


def square_or_die_once(folder, item):
    """One worker, of item 7, is killed as the kernel kills."""
    note(folder / "begun", item)
    if item == 7 and lines(folder / "begun").count("7") == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return square(item)


def slow_square(folder, item):
    time.sleep(0.5)
    note(folder / "finished", item)
    return square(item)


def die(item):
    os.kill(os.getpid(), signal.SIGKILL)


def note(file: Path, item: int) -> None:
    with file.open("a") as stream:
        stream.write(f"{item}\n")


def lines(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []
