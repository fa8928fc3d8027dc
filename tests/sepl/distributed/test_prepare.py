"""One process, many, Ray Data and a cluster of nodes, on a disk and in an object store: the same bytes."""

import os
import sys

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
from sepl.distributed.prepare import RayDataExecutor, ray_data_executor
from sepl.errors import StorageError
from sepl.execution import executor as parallel
from sepl.storage import resolve

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # Ray's processes cannot import a test module

# Ray Data 2.60 sets its own deprecated settings whenever its context is made
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data")


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
def test_ray_data_on_this_machine_gives_the_same_bytes_on_disk_and_in_an_object_store(cohort, alone, tmp_path):
    with serve_s3() as endpoint, ray_data_executor(None, 2) as executor:
        place = new_place(endpoint)
        for out in (tmp_path / "out", place):
            prepare(cohort, out, 32, executor=executor)

            assert files_of(out) == alone
        assert prepare(cohort, place, 32, executor=executor).unchanged
        PreparedDataset.open(place, cache=tmp_path / "cache").verify()
    assert not ray.is_initialized()


@pytest.mark.slow
def test_a_cluster_of_three_nodes_gives_the_same_bytes_on_disk_and_in_an_object_store(cohort, alone, tmp_path):
    with serve_s3() as endpoint, running_cluster(1, 1, 1) as cluster, ray_data_executor(cluster.address) as executor:
        for out in (tmp_path / "out", new_place(endpoint)):
            prepare(cohort, out, 32, executor=executor)

            assert files_of(out) == alone
        nodes = set(executor.map(node_of, range(30)))
    assert len(nodes) > 1


@pytest.mark.slow
def test_an_error_of_a_part_comes_back_as_it_is():
    with ray_data_executor(None, 1) as executor, pytest.raises(StorageError, match="the disk is full"):
        list(executor.map(refuse, range(3)))


def test_no_items_need_no_cluster():
    assert list(RayDataExecutor().map(node_of, [])) == []


def node_of(item):
    return ray.get_runtime_context().get_node_id() if os.getpid() else item


def refuse(item):
    raise StorageError("the disk is full")
