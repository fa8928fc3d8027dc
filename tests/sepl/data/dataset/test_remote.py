"""The same dataset in an object store."""

import numpy as np
import pytest
from builders import build_cohort
from s3 import new_place, serve_s3

from sepl.data.cohort.cohort import read_cohort
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.preparation.prepare import prepare
from sepl.errors import DatasetError, StorageError
from sepl.storage import resolve


@pytest.fixture(scope="module")
def endpoint():
    with serve_s3() as address:
        yield address


@pytest.fixture
def s3(endpoint):
    return new_place(endpoint)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return read_cohort(build_cohort(tmp_path_factory.mktemp("cohort"), num_patients=12))


@pytest.fixture(scope="module")
def local(cohort, tmp_path_factory):
    prepare(cohort, tmp_path_factory.mktemp("local") / "out", 32, num_workers=1)
    return PreparedDataset.open(tmp_path_factory.getbasetemp() / "local0" / "out")


@pytest.fixture(scope="module")
def uploaded(endpoint, cohort):
    place = new_place(endpoint)
    prepare(cohort, place, 32, num_workers=1)
    return place


def test_a_dataset_in_an_object_store_is_the_same(uploaded, local, tmp_path):
    remote = PreparedDataset.open(uploaded, cache=tmp_path / "cache")

    remote.verify()
    assert remote.manifest == local.manifest
    here, there = local.photographs("train"), remote.photographs("train")
    assert all(np.array_equal(a, b) for a, b in zip(here.shards, there.shards, strict=True))
    np.testing.assert_array_equal(here.labels_NT, there.labels_NT)


def test_nothing_but_the_dataset_is_left_in_the_store(uploaded, local):
    names = {place.name for place in resolve(uploaded).list_folder()}

    assert names == {path.name for path in local.folder.iterdir()}


def test_only_what_is_used_is_fetched(uploaded, tmp_path):
    remote = PreparedDataset.open(uploaded, cache=tmp_path)
    remote.photographs("test")

    fetched = [path.stem for path in (tmp_path / "shards").iterdir()]
    assert fetched == [shard.sha256 for shard in remote.manifest.shards if shard.cohort_split == "test"]


def test_the_cache_is_where_the_environment_says(uploaded, tmp_path, monkeypatch):
    monkeypatch.setenv("SEPL_CACHE", str(tmp_path / "mine"))

    assert PreparedDataset.open(uploaded).folder.is_relative_to(tmp_path / "mine")


def test_a_table_that_was_damaged_in_the_cache_is_fetched_again(uploaded, tmp_path):
    first = PreparedDataset.open(uploaded, cache=tmp_path)
    first.photographs("train")
    (first.folder / "labels.parquet").write_bytes(b"half")

    second = PreparedDataset.open(uploaded, cache=tmp_path)

    assert second.photographs("train").num_photographs == first.photographs("train").num_photographs


def test_where_nothing_was_published_there_is_no_dataset(s3, tmp_path):
    with pytest.raises(DatasetError, match="no prepared dataset at s3://"):
        PreparedDataset.open(s3, cache=tmp_path)


def test_a_published_dataset_is_not_overwritten_by_another(uploaded, cohort):
    with pytest.raises(StorageError, match="already holds a prepared dataset"):
        prepare(cohort, uploaded, 48, num_workers=1)


def test_a_second_run_over_the_same_cohort_writes_nothing(uploaded, cohort):
    before = {place.name: place.read_bytes() for place in resolve(uploaded).list_folder() if not place.is_folder()}

    summary = prepare(cohort, uploaded, 32, num_workers=1)

    assert summary.unchanged
    assert before == {
        place.name: place.read_bytes() for place in resolve(uploaded).list_folder() if not place.is_folder()
    }


def test_photographs_can_lie_in_an_object_store_too(s3, tmp_path):
    cohort_file = build_cohort(tmp_path / "cohort", num_patients=12)
    images = resolve(s3) / "images"
    pictures = sorted((tmp_path / "cohort" / "images").iterdir())
    pictures[3].unlink()
    for picture in pictures[:3] + pictures[4:]:
        (images / picture.name).write_bytes(picture.read_bytes())
    here = prepare(read_cohort(cohort_file), tmp_path / "here", 32, num_workers=1)
    cohort_file.write_text(cohort_file.read_text().replace('images = "images"', f'images = "{images.uri}"'))

    there = prepare(read_cohort(cohort_file), tmp_path / "there", 32, num_workers=1)

    assert there.rejected == here.rejected == {"file not found": 1}
    assert there.manifest == here.manifest
    assert prepare(read_cohort(cohort_file), tmp_path / "there", 32, num_workers=1).unchanged
