from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.data.dataset.shards import Pixels, photographs_per_shard, read_pixels, write_pixels
from sepl.data.patients.splits import COHORT_SPLITS
from sepl.data.preparation.shard_jobs import assemble_shard, group_into_shards, plan_shard
from sepl.storage import Location, resolve

SIZE = 16
LARGE = 2000
"""A side of which few photographs make a shard."""


@given(
    entries=st.lists(
        st.tuples(st.sampled_from(COHORT_SPLITS), st.integers(0, 5), st.sampled_from(COHORT_SPLITS)), max_size=80
    )
)
def test_every_photograph_is_in_one_group_of_its_cohort_split(entries: list[tuple[str, int, str]]) -> None:
    splits, planned = (np.array([entry[place] for entry in entries], str) for place in (0, 2))
    slots = np.array([entry[1] for entry in entries], np.int64)

    groups = group_into_shards(splits, slots, planned, LARGE)

    assert sorted(index for group in groups for index in group.tolist()) == list(range(len(entries)))
    order = [COHORT_SPLITS.index(str(splits[group[0]])) for group in groups]
    assert order == sorted(order)
    for group in groups:
        assert len(set(splits[group].tolist())) == 1
        moved = planned[group] != splits[group]
        assert moved.all() or (not moved.any() and len(set(slots[group].tolist())) == 1)
        assert not moved.any() or len(group) <= photographs_per_shard(LARGE)


@pytest.fixture
def places(tmp_path: Path) -> tuple[Location, Location]:
    for name in ("out", "work/shards", "work/pixels"):
        (tmp_path / name).mkdir(parents=True)
    return resolve(tmp_path / "out"), resolve(tmp_path / "work")


def written(folder: Path, name: str, num: int, seed: int) -> tuple[Pixels, np.ndarray]:
    pixels = np.random.default_rng(seed).integers(0, 256, (num, SIZE, SIZE, 3), np.uint8)
    return write_pixels(resolve(folder / name), pixels), pixels


def test_a_whole_file_becomes_the_shard_under_another_name(places: tuple[Location, Location], tmp_path: Path) -> None:
    pixels, content = written(tmp_path, "a.arrow", 5, 0)
    job = plan_shard(0, "train", [pixels.uri] * 5, np.arange(5, dtype=np.int32), SIZE, *places, {pixels.uri: pixels})

    index, shard = assemble_shard(job)

    assert job.same == pixels
    assert (index, shard.num_photographs, shard.sha256) == (0, 5, pixels.sha256)
    assert np.array_equal(read_pixels(places[0] / shard.file, SIZE), content)
    assert resolve(pixels.uri).exists()


@pytest.mark.parametrize("rows", [[4, 3, 2, 1, 0], [0, 1, 2], [0, 0, 1, 2, 3]])
def test_other_rows_than_all_in_order_are_gathered(
    places: tuple[Location, Location], tmp_path: Path, rows: list[int]
) -> None:
    pixels, content = written(tmp_path, "a.arrow", 5, 0)
    files, row_N = [pixels.uri] * len(rows), np.array(rows, np.int32)
    job = plan_shard(2, "test", files, row_N, SIZE, *places, {pixels.uri: pixels})

    _, shard = assemble_shard(job)

    assert job.same is None
    assert np.array_equal(read_pixels(places[0] / shard.file, SIZE), content[rows])


def test_rows_of_two_files_stand_in_the_order_that_was_asked(places: tuple[Location, Location], tmp_path: Path) -> None:
    (one, first), (other, second) = (written(tmp_path, f"{seed}.arrow", 3, seed) for seed in (0, 1))
    files, row_N = [other.uri, one.uri, other.uri], np.array([2, 0, 1], np.int32)

    _, shard = assemble_shard(plan_shard(0, "train", files, row_N, SIZE, *places, {}))

    assert np.array_equal(read_pixels(places[0] / shard.file, SIZE), np.stack([second[2], first[0], second[1]]))


def test_a_shard_that_was_written_before_is_not_gathered_again(
    places: tuple[Location, Location], tmp_path: Path
) -> None:
    pixels, _ = written(tmp_path, "a.arrow", 5, 0)
    job = plan_shard(0, "train", [pixels.uri] * 2, np.array([1, 0], np.int32), SIZE, *places, {})
    before = assemble_shard(job)
    resolve(pixels.uri).local_path().unlink()

    assert assemble_shard(job) == before
