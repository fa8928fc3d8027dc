from pathlib import Path

import numpy as np
import pytest
from builders import build_cohort
from hypothesis import given
from hypothesis import strategies as st

from sepl.data.cohort.cohort import Cohort, read_cohort
from sepl.data.dataset.shards import photographs_per_shard
from sepl.data.imaging.photograph import ImageSpec
from sepl.data.patients.splits import COHORT_SPLITS
from sepl.data.preparation.chunk_plan import cut_into_chunks, slots_of
from sepl.data.preparation.sources import pictures_of
from sepl.storage import resolve

LARGE = 2000
"""A side of which few photographs make a shard."""


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    return read_cohort(build_cohort(tmp_path / "cohort", 6))


@given(st.lists(st.sampled_from(COHORT_SPLITS), max_size=120))
def test_a_slot_is_of_one_cohort_split_in_order_and_none_is_too_large(names: list[str]) -> None:
    splits = np.array(names, str)

    slots = slots_of(splits, LARGE)

    assert sorted(set(slots.tolist())) == list(range(len(set(slots.tolist()))))
    for slot in set(slots.tolist()):
        assert len(set(splits[slots == slot])) == 1
        assert (slots == slot).sum() <= photographs_per_shard(LARGE)
    for name in COHORT_SPLITS:
        assert (np.diff(slots[splits == name]) >= 0).all()


def test_a_chunk_is_made_of_one_slot_and_every_wanted_photograph_is_in_one(cohort: Cohort, tmp_path: Path) -> None:
    pictures = pictures_of(cohort)
    sources = [str(index) for index in range(len(pictures))]
    wanted, slots = np.arange(1, len(pictures)), np.arange(len(pictures)) % 3

    jobs, members = cut_into_chunks(cohort, pictures, sources, wanted, slots, ImageSpec(size=32), resolve(tmp_path))

    assert sorted(np.concatenate(members).tolist()) == wanted.tolist()
    assert [set(slots[part].tolist()) for part in members] == [{0}, {1}, {2}]
    assert [job.pictures for job in jobs] == [tuple(pictures[index] for index in part) for part in members]
    assert len({job.key for job in jobs}) == 3


def test_the_key_of_a_chunk_knows_the_size_of_its_pixels_and_not_where_they_go(cohort: Cohort, tmp_path: Path) -> None:
    pictures = pictures_of(cohort)
    sources, all_of_them = [str(index) for index in range(len(pictures))], np.arange(len(pictures))

    def key(size: int, place: str) -> str:
        slots, work = np.zeros(len(pictures), np.int64), resolve(tmp_path / place)
        (job,), _ = cut_into_chunks(cohort, pictures, sources, all_of_them, slots, ImageSpec(size=size), work)
        return job.key

    assert key(32, "a") == key(32, "b")
    assert key(32, "a") != key(48, "a")


def test_where_nothing_is_wanted_there_is_no_chunk(cohort: Cohort, tmp_path: Path) -> None:
    nothing, slots = np.zeros(0, np.int64), np.zeros(len(cohort.images), np.int64)

    assert cut_into_chunks(cohort, [], [], nothing, slots, ImageSpec(size=32), resolve(tmp_path)) == ([], [])
