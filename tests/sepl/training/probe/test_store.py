"""Features on disk: computed once, whole or absent, bounded."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sepl.errors import ConfigError, StorageError
from sepl.storage import resolve
from sepl.training.probe.store import FeatureKey, FeatureStore

KEY = FeatureKey(
    fingerprint="ab" * 32,
    weights_sha256="cd" * 32,
    backbone="test_resnet",
    final_norm=True,
    mean=(0.5, 0.5, 0.5),
    std=(0.2, 0.2, 0.2),
    image_size=32,
    cohort_split="train",
)
ROWS, WIDTH = 50, 20
FILE_BYTES = 5_000


def features(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(ROWS, WIDTH)).astype(np.float32)


def counted(calls: list[int], seed: int = 0) -> Callable[[], np.ndarray]:
    def compute() -> np.ndarray:
        calls.append(seed)
        return features(seed)

    return compute


def test_features_are_computed_once_and_come_back_bit_for_bit_read_only(tmp_path: Path) -> None:
    store, calls = FeatureStore.of(resolve(tmp_path), 1.0), []

    first, second = store.get(KEY, counted(calls)), store.get(KEY, counted(calls))

    assert calls == [0]
    assert np.array_equal(first, features())
    assert np.array_equal(second, features())
    assert not second.flags.writeable
    assert store.path(KEY) == tmp_path / "features" / f"{KEY.name}.arrow"


@pytest.mark.parametrize(
    "change",
    [
        {"fingerprint": "0" * 64},
        {"weights_sha256": "0" * 64},
        {"mean": (0.4, 0.5, 0.5)},
        {"image_size": 64},
        {"cohort_split": "validation"},
        {"strength": 1.0},
        {"strength": 1.0, "draw": 1},
    ],
)
def test_whatever_decides_features_has_a_file_of_its_own(change: dict[str, object]) -> None:
    assert KEY.model_copy(update=change).name != KEY.name


def test_the_sealed_patients_have_no_features_here() -> None:
    with pytest.raises(ConfigError, match="cohort_split"):
        FeatureKey.parse({**KEY.model_dump(), "cohort_split": "test"}, "key")


def test_a_file_that_is_not_whole_is_made_anew(tmp_path: Path) -> None:
    store = FeatureStore.of(resolve(tmp_path), 1.0)
    store.get(KEY, features)
    whole = store.path(KEY).read_bytes()
    store.path(KEY).write_bytes(whole[: len(whole) // 2])

    assert np.array_equal(store.get(KEY, lambda: features(1)), features(1))


def test_room_is_made_of_what_was_used_longest_ago_and_never_of_what_is_in_use(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, 3 * FILE_BYTES)
    keys = [KEY.model_copy(update={"draw": draw}) for draw in range(4)]
    held = store.get(keys[0], features)
    for number, key in enumerate(keys[1:3], start=1):
        store.get(key, features)
        os.utime(store.path(key), (number, number))
    os.utime(store.path(keys[0]), (0, 0))

    store.get(keys[3], features)

    assert [store.path(key).exists() for key in keys] == [True, False, True, True]
    assert np.array_equal(held, features())


def test_features_that_do_not_fit_beside_what_is_in_use_are_refused_in_one_line(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, FILE_BYTES)
    held = store.get(KEY, features)

    with pytest.raises(StorageError, match=r"--probe-cache-gb should leave room for features of .* was 5e-06"):
        store.get(KEY.model_copy(update={"draw": 1}), features)
    assert np.array_equal(held, features())


def write_slowly(root: Path, counts: Path) -> None:
    def compute() -> np.ndarray:
        (counts / str(os.getpid())).touch()
        time.sleep(0.5)
        return features()

    assert np.array_equal(FeatureStore(root, 10**9).get(KEY, compute), features())


def test_two_that_want_the_same_features_compute_them_once(tmp_path: Path) -> None:
    (tmp_path / "counts").mkdir()
    context = multiprocessing.get_context("fork")
    writers = [
        context.Process(target=write_slowly, args=(tmp_path / "features", tmp_path / "counts")) for _ in range(2)
    ]

    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)

    assert [writer.exitcode for writer in writers] == [0, 0]
    assert len(list((tmp_path / "counts").iterdir())) == 1


def write_half(root: Path, begun: Path) -> None:
    (root / "features").mkdir(parents=True)
    (root / "features" / f".{KEY.name}.arrow-left").write_bytes(b"half")

    def compute() -> np.ndarray:
        begun.touch()
        time.sleep(60)
        return features()

    FeatureStore.of(resolve(root), 1.0).get(KEY, compute)


def test_a_writer_that_is_killed_leaves_nothing_that_is_taken_for_features(tmp_path: Path) -> None:
    writer = multiprocessing.get_context("fork").Process(target=write_half, args=(tmp_path, tmp_path / "begun"))
    writer.start()
    while not (tmp_path / "begun").exists():
        time.sleep(0.02)
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    writer.join(60)
    store, calls = FeatureStore.of(resolve(tmp_path), 1.0), []

    again = store.get(KEY, counted(calls))

    assert calls == [0]
    assert np.array_equal(again, features())
    assert [path.name for path in store.root.iterdir() if path.name.startswith(f".{KEY.name}.arrow-")] == []


def test_features_of_a_remote_storage_lie_in_this_machines_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEPL_CACHE", str(tmp_path))

    store = FeatureStore.of(resolve("s3://bucket/runs?region=eu-west-1"), 2.0)

    assert store.root.parent == tmp_path
    assert store.limit == 2_000_000_000
