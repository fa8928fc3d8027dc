"""Shards of remote datasets on a node's disk: fetched once, within bounds, checked, never taken from who uses them."""

import os
import subprocess
import sys

import numpy as np
import pytest
from s3 import new_place, serve_s3

from sepl.data.dataset.cache import ShardCache
from sepl.data.dataset.shards import map_shard, write_pixels
from sepl.errors import ConfigError, DatasetError, StorageError
from sepl.storage import resolve

SIZE = 16
NUM_BYTES = 40 * SIZE * SIZE * 3


@pytest.fixture(scope="module")
def endpoint():
    with serve_s3() as address:
        yield address


@pytest.fixture
def source(endpoint):
    return resolve(new_place(endpoint))


def publish(source, *numbers):
    """Shards of about 30 KB in the object store."""
    shards = []
    for number in numbers:
        pixels = write_pixels(source / "pixels", np.full((40, SIZE, SIZE, 3), number, np.uint8))
        shard = pixels.as_shard("train")
        source.filesystem.move((source / "pixels").path, (source / shard.file).path)
        shards.append(shard)
    return tuple(shards)


def room_for(num_shards, shards):
    return num_shards * shards[0].num_bytes + 100


def cached_in(cache):
    return {path.stem for path in (cache.root / "shards").iterdir()}


def forget(source, shard):
    source.filesystem.delete_file((source / shard.file).path)


def test_a_shard_is_fetched_once_and_then_mapped(source, tmp_path):
    shards = publish(source, 1)
    cache = ShardCache(tmp_path, 10**9)
    path = cache.open("a", source, shards).shard(shards[0])
    forget(source, shards[0])

    again = cache.open("a", source, shards).shard(shards[0])

    assert again == path
    assert np.all(map_shard(path, SIZE) == 1)
    assert not list((tmp_path / "incoming").iterdir())


def test_the_one_used_longest_ago_makes_room(source, tmp_path):
    shards = publish(source, 1, 2, 3, 4)
    cache = ShardCache(tmp_path, room_for(3, shards))
    for index in (0, 1, 2, 0):  # the second is now the one used longest ago
        cache.open(f"only-{index}", source, shards[index : index + 1]).shard(shards[index])

    cache.open("last", source, shards[3:]).shard(shards[3])

    assert cached_in(cache) == {shards[index].sha256 for index in (0, 2, 3)}


def test_what_is_in_use_is_never_taken_away(source, tmp_path):
    shards = publish(source, 1, 2, 3)
    cache = ShardCache(tmp_path, room_for(2, shards))
    user = cache.open("a", source, shards[:2])
    for shard in shards[:2]:
        user.shard(shard)

    with pytest.raises(StorageError, match=r"should hold \d+ bytes at most \(\$SEPL_CACHE_BYTES\)"):
        cache.open("b", source, shards[2:]).shard(shards[2])
    assert cached_in(cache) == {shard.sha256 for shard in shards[:2]}

    del user
    cache.open("b", source, shards[2:]).shard(shards[2])
    assert shards[2].sha256 in cached_in(cache)


def test_what_another_process_uses_is_never_taken_away(source, tmp_path):
    shards = publish(source, 1, 2)
    cache = ShardCache(tmp_path, room_for(1, shards))
    with start(cache, source, shards[:1], "import sys; sys.stdin.read()") as user:
        assert user.stdout is not None
        assert user.stdout.readline() == "done\n"

        with pytest.raises(StorageError, match="SEPL_CACHE_BYTES"):
            cache.open("b", source, shards[1:]).shard(shards[1])
        user.kill()

    cache.open("b", source, shards[1:]).shard(shards[1])
    assert cached_in(cache) == {shards[1].sha256}


@pytest.mark.parametrize("damage", ["a byte", "cut short", "emptied", "gone"])
def test_a_damaged_shard_is_fetched_again(source, tmp_path, damage):
    shards = publish(source, 1)
    cache = ShardCache(tmp_path, 10**9)
    path = cache.open("a", source, shards).shard(shards[0])
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    damaged = {"a byte": bytes(content), "cut short": bytes(content[:-1]), "emptied": b"", "gone": None}[damage]
    path.write_bytes(damaged) if damaged is not None else path.unlink()

    path = cache.open("a", source, shards).shard(shards[0])

    assert np.all(map_shard(path, SIZE) == 1)


def test_a_file_that_was_only_touched_is_kept(source, tmp_path):
    shards = publish(source, 1)
    cache = ShardCache(tmp_path, 10**9)
    path = cache.open("a", source, shards).shard(shards[0])
    os.utime(path)
    forget(source, shards[0])

    assert cache.open("a", source, shards).shard(shards[0]) == path


def test_another_file_in_the_store_is_refused_and_not_kept(source, tmp_path):
    shards = publish(source, 1)
    (source / shards[0].file).write_bytes(b"something else")
    cache = ShardCache(tmp_path, 10**9)

    with pytest.raises(DatasetError, match="is not the file that was published"):
        cache.open("a", source, shards).shard(shards[0])
    assert not cached_in(cache)


def test_a_shard_that_is_gone_is_told(source, tmp_path):
    shards = publish(source, 1)
    forget(source, shards[0])

    with pytest.raises(DatasetError, match="is gone; was the dataset published anew"):
        ShardCache(tmp_path, 10**9).open("a", source, shards).shard(shards[0])


def test_processes_that_fill_the_cache_at_once_fetch_each_shard_once(endpoint, source, tmp_path):
    shards = publish(source, *range(1, 7))
    cache = ShardCache(tmp_path, 10**9)
    processes = [start(cache, source, shards, "") for _ in range(3)]
    fetched = []
    for process in processes:
        output, _ = process.communicate()
        assert process.returncode == 0
        fetched += [line for line in output.splitlines() if line.startswith("fetched")]

    assert len(fetched) == 6
    assert cached_in(cache) == {shard.sha256 for shard in shards}
    for number, shard in enumerate(shards, start=1):
        assert np.all(map_shard(cache.shard_path(shard.sha256), SIZE) == number)


def test_a_process_that_died_while_it_fetched_leaves_no_claim_on_room(source, tmp_path):
    shards = publish(source, 1, 2)
    cache = ShardCache(tmp_path, room_for(1, shards))
    cache.open("a", source, shards[:1])
    part = cache.reserve(shards[0])  # and no more
    assert part.stat().st_size == shards[0].num_bytes

    cache.open("b", source, shards[1:]).shard(shards[1])

    assert not part.exists()


def start(cache, source, shards, then):
    """A process that asks for the shards and tells which it fetched itself."""
    code = (
        "from pathlib import Path; from sepl.data.dataset.cache import CachedDataset, ShardCache\n"
        "from sepl.data.dataset.shards import Shard; from sepl.storage import resolve\n"
        "fetch = CachedDataset._fetch\n"
        "def told(self, shard):\n"
        "    print('fetched', shard.sha256, flush=True)\n"
        "    return fetch(self, shard)\n"
        "CachedDataset._fetch = told\n"
        f"shards = tuple(Shard.model_validate(shard) for shard in {[shard.model_dump() for shard in shards]!r})\n"
        f"user = ShardCache(Path({str(cache.root)!r}), {cache.limit}).open('x', resolve({source.uri!r}), shards)\n"
        "for shard in shards: user.shard(shard)\n"
        f"{'' if not then else 'print(chr(100) + chr(111) + chr(110) + chr(101), flush=True)'}\n"
        f"{then}\n"
    )
    if then:
        code = code.replace("print('fetched', shard.sha256, flush=True)", "pass")
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("text", ["", "-1", "0", "64 GB"])
def test_a_size_that_is_no_number_of_bytes_is_refused(monkeypatch, text):
    monkeypatch.setenv("SEPL_CACHE_BYTES", text)

    with pytest.raises(ConfigError, match=r"\$SEPL_CACHE_BYTES should be a number of bytes"):
        ShardCache.default()


def test_place_and_size_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("SEPL_CACHE", str(tmp_path / "mine"))
    monkeypatch.setenv("SEPL_CACHE_BYTES", "1000")

    assert ShardCache.default() == ShardCache(tmp_path / "mine", 1000)
