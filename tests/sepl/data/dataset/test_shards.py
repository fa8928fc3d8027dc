from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sepl.data.dataset.shards import map_shard, read_pixels, write_pixels
from sepl.errors import DatasetError
from sepl.storage import resolve, sha256_of_file

SIZE = 16
PIXELS_NHWC = np.random.default_rng(5).integers(0, 256, (7, SIZE, SIZE, 3), np.uint8)


def test_a_mapped_shard_is_what_was_written(tmp_path):
    written = write_pixels(resolve(tmp_path / "a.arrow"), PIXELS_NHWC)

    assert np.array_equal(map_shard(tmp_path / "a.arrow", SIZE), PIXELS_NHWC)
    assert written.num_photographs == 7
    assert written.num_bytes == (tmp_path / "a.arrow").stat().st_size
    assert written.sha256 == sha256_of_file(tmp_path / "a.arrow")
    assert [path.name for path in tmp_path.iterdir()] == ["a.arrow"]


def test_a_shard_is_named_by_its_content(tmp_path):
    one, same = (write_pixels(resolve(tmp_path / name), PIXELS_NHWC) for name in ("one", "same"))
    other = write_pixels(resolve(tmp_path / "other"), PIXELS_NHWC[:3])

    assert one.as_shard("train") == same.as_shard("train")
    assert one.as_shard("train").file == f"train-{one.sha256[:12]}.arrow"
    assert other.as_shard("train").file != one.as_shard("train").file


def test_mapping_copies_nothing(tmp_path):
    big = np.zeros((1000, 64, 64, 3), np.uint8)
    write_pixels(resolve(tmp_path / "big.arrow"), big)
    before = pa.total_allocated_bytes()

    pixels = map_shard(tmp_path / "big.arrow", 64)

    assert pa.total_allocated_bytes() - before < 10_000
    assert not pixels.flags.owndata
    assert not pixels.flags.writeable
    assert _is_mapped_from_a_file(pixels.ctypes.data, "big.arrow")


def _is_mapped_from_a_file(address, name):
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        low, high = (int(part, 16) for part in line.split()[0].split("-"))
        if low <= address < high:
            return line.endswith(name)
    return False


def test_pixels_can_be_read_wherever_they_are(tmp_path):
    write_pixels(resolve(tmp_path / "a.arrow"), PIXELS_NHWC)

    assert np.array_equal(read_pixels(resolve(tmp_path / "a.arrow"), SIZE), PIXELS_NHWC)


@pytest.mark.parametrize("content", [b"", b"nonsense", bytes(5000)])
def test_what_is_no_shard_is_refused(tmp_path, content):
    (tmp_path / "train-000.arrow").write_bytes(content)

    with pytest.raises(DatasetError, match=r"train-000.arrow should be an Arrow shard"):
        map_shard(tmp_path / "train-000.arrow", SIZE)


def test_a_shard_of_another_size_is_refused(tmp_path):
    write_pixels(resolve(tmp_path / "a.arrow"), PIXELS_NHWC[:4])

    with pytest.raises(DatasetError, match="should be an Arrow shard of 32×32 RGB pixels, had 768 bytes"):
        map_shard(tmp_path / "a.arrow", 32)
