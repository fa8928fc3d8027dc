"""The same dataset in an object store."""

import shutil

import numpy as np
import pytest
from builders import build_cohort, build_dataset
from s3 import new_place, serve_s3

from sepl.data.cohort import read_cohort
from sepl.data.prepare import prepare
from sepl.data.prepared import PreparedDataset
from sepl.errors import DatasetError, StorageError
from sepl.storage import resolve


@pytest.fixture(scope="module")
def endpoint():
    with serve_s3() as address:
        yield address


@pytest.fixture
def s3(endpoint):
    return new_place(endpoint)


@pytest.fixture
def local(tmp_path):
    return build_dataset(tmp_path, num_patients=12)


@pytest.fixture
def uploaded(s3, local, tmp_path):
    prepare(read_cohort(tmp_path / "cohort" / "cohort.toml"), s3, 32, num_workers=1)
    return s3


def test_a_dataset_in_an_object_store_is_the_same(uploaded, local, tmp_path):
    remote = PreparedDataset.open(uploaded, cache=tmp_path / "cache")

    remote.verify()
    assert remote.manifest == local.manifest
    here, there = local.photographs("train"), remote.photographs("train")
    assert all(np.array_equal(a, b) for a, b in zip(here.shards, there.shards, strict=True))
    np.testing.assert_array_equal(here.labels_NT, there.labels_NT)


def test_a_dataset_is_fetched_once(uploaded, tmp_path):
    first = PreparedDataset.open(uploaded, cache=tmp_path / "cache")
    (resolve(uploaded) / "train-000.arrow").filesystem.delete_file((resolve(uploaded) / "train-000.arrow").path)

    second = PreparedDataset.open(uploaded, cache=tmp_path / "cache")

    assert second.folder == first.folder
    assert [path.name for path in (tmp_path / "cache" / "datasets").iterdir()] == [first.folder.name]


def test_the_cache_is_where_the_environment_says(uploaded, tmp_path, monkeypatch):
    monkeypatch.setenv("SEPL_CACHE", str(tmp_path / "mine"))

    assert PreparedDataset.open(uploaded).folder.is_relative_to(tmp_path / "mine")


def test_a_fetch_that_broke_off_is_not_taken_for_whole(uploaded, tmp_path):
    whole = PreparedDataset.open(uploaded, cache=tmp_path / "cache").folder
    shutil.rmtree(whole)
    whole.mkdir()
    (whole / "train-000.arrow").write_bytes(b"half")

    with pytest.raises(StorageError, match="cannot copy s3://"):
        PreparedDataset.open(uploaded, cache=tmp_path / "cache")


def test_where_nothing_was_published_there_is_no_dataset(s3, tmp_path):
    with pytest.raises(DatasetError, match="no prepared dataset at s3://"):
        PreparedDataset.open(s3, cache=tmp_path)


def test_a_published_dataset_is_not_overwritten(uploaded, tmp_path):
    cohort = read_cohort(build_cohort(tmp_path / "other", num_patients=8))

    with pytest.raises(StorageError, match="already holds a prepared dataset"):
        prepare(cohort, uploaded, 32, num_workers=1)
