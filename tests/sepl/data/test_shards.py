from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.data import shards
from sepl.data.shards import ShardWriter, map_shard, write_shard
from sepl.errors import DatasetError

SIZE = 16
PIXELS_NHWC = np.random.default_rng(5).integers(0, 256, (7, SIZE, SIZE, 3), np.uint8)


def test_a_mapped_shard_is_what_was_written(tmp_path):
    shard = write_shard(tmp_path, "train-000.arrow", "train", PIXELS_NHWC)

    assert np.array_equal(map_shard(tmp_path / shard.file, SIZE), PIXELS_NHWC)
    assert shard.num_photographs == 7
    assert shard.num_bytes == (tmp_path / shard.file).stat().st_size


def test_mapping_copies_nothing(tmp_path):
    big = np.zeros((1000, 64, 64, 3), np.uint8)
    write_shard(tmp_path, "train-000.arrow", "train", big)
    before = pa.total_allocated_bytes()

    pixels = map_shard(tmp_path / "train-000.arrow", 64)

    assert pa.total_allocated_bytes() - before < 10_000
    assert not pixels.flags.owndata
    assert not pixels.flags.writeable
    assert _is_mapped_from_a_file(pixels.ctypes.data, "train-000.arrow")


def _is_mapped_from_a_file(address, name):
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        low, high = (int(part, 16) for part in line.split()[0].split("-"))
        if low <= address < high:
            return line.endswith(name)
    return False


def test_the_same_pixels_give_the_same_bytes(tmp_path):
    first = write_shard(tmp_path, "train-000.arrow", "train", PIXELS_NHWC)
    second = write_shard(tmp_path, "train-001.arrow", "train", PIXELS_NHWC.copy())

    assert first.sha256 == second.sha256


@given(st.lists(st.sampled_from(["train", "validation", "test"]), max_size=40))
def test_every_photograph_stands_where_the_writer_said(tmp_path_factory, cohort_splits):
    folder = tmp_path_factory.mktemp("shards")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SHARD_BYTES", 3 * SIZE * SIZE * 3)  # three photographs a shard
        writer = ShardWriter(folder, SIZE)
        pictures = [np.full((SIZE, SIZE, 3), number, np.uint8) for number in range(len(cohort_splits))]
        places = [writer.add(name, picture) for name, picture in zip(cohort_splits, pictures, strict=True)]
        written = writer.finish()

    assert sum(shard.num_photographs for shard in written) == len(cohort_splits)
    for (file, row), picture, name in zip(places, pictures, cohort_splits, strict=True):
        assert np.array_equal(map_shard(folder / file, SIZE)[row], picture)
        assert next(shard for shard in written if shard.file == file).cohort_split == name


@pytest.mark.parametrize("content", [b"", b"nonsense", bytes(5000)])
def test_what_is_no_shard_is_refused(tmp_path, content):
    (tmp_path / "train-000.arrow").write_bytes(content)

    with pytest.raises(DatasetError, match=r"train-000.arrow should be an Arrow shard"):
        map_shard(tmp_path / "train-000.arrow", SIZE)


def test_a_shard_of_another_size_is_refused(tmp_path):
    write_shard(tmp_path, "train-000.arrow", "train", PIXELS_NHWC[:4])

    with pytest.raises(DatasetError, match="should be an Arrow shard of 32×32 RGB pixels, had 768 bytes"):
        map_shard(tmp_path / "train-000.arrow", 32)
