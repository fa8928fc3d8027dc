"""The files that the benchmark prepares are what it says they are, and its memory figure counts child processes."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import cv2
import pytest

from benchmarks.support.decoding import examine, plain_decode, reduction_for, released_decode
from benchmarks.support.memory import peak_bytes
from benchmarks.support.photographs import files_of, make_cohort
from sepl.data.cohort.cohort import read_cohort
from sepl.data.preparation.prepare import prepare

MIB = 2**20


def hold_in_a_child(num_bytes: int) -> None:
    code = f"import time; held = bytearray({num_bytes}); held[::4096] = bytes([1]) * len(held[::4096]); time.sleep(3)"
    subprocess.run([sys.executable, "-c", code], check=True)


def fail() -> None:
    raise SystemExit(3)


@pytest.mark.slow
def test_a_made_cohort_is_prepared_whole_and_has_no_copies(tmp_path: Path) -> None:
    cohort_file = make_cohort(tmp_path / "made", 60, 256, 192)
    files = files_of(cohort_file)

    summary = prepare(read_cohort(cohort_file), tmp_path / "prepared", 64, num_workers=1)

    picture = cv2.imread(str(files[0]))
    assert picture is not None
    assert picture.shape == (192, 256, 3)
    assert len(files) == sum(summary.manifest.num_photographs.values()) == 60
    assert summary.rejected == {}
    assert not [kind for kind in summary.findings if kind.startswith("same")]


@pytest.mark.slow
def test_every_way_decodes_what_was_made(tmp_path: Path) -> None:
    files = files_of(make_cohort(tmp_path / "made", 2, 1024, 768))

    assert reduction_for(files[0], 224) == 2
    plain_decode(files, 224, 2)
    examine(files, 224)
    released_decode(files, 224)


@pytest.mark.slow
def test_memory_of_children_is_counted() -> None:
    small, large = (peak_bytes(partial(hold_in_a_child, size * MIB)) for size in (1, 100))

    assert 90 * MIB < large - small < 120 * MIB


@pytest.mark.slow
def test_a_measured_call_that_fails_is_told() -> None:
    with pytest.raises(RuntimeError, match="code 3"):
        peak_bytes(fail)
