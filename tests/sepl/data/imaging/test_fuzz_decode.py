"""Damaged files through the decoder, in a process of its own: each is read or refused, in bounded time and memory."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import mutations
import numpy as np
import pytest
from dicoms import draw_fundus, write_dicom
from pydicom.uid import JPEG2000Lossless

from sepl.data.imaging.photograph import ImageSpec, read_photograph
from sepl.errors import ImageError

RGB = draw_fundus(240, 320)


def read_damaged_files(folder, seed, first, last):
    """Results by reason; the test fails with the number and the bytes of a file that ended the process."""
    command = [sys.executable, "-X", "faulthandler", mutations.__file__, *map(str, (seed, first, last))]
    ended = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    lines = ended.stdout.splitlines()
    if ended.returncode == 0:
        return json.loads(lines[-1])
    number = next((int(line) for line in reversed(lines) if line.isdigit()), first)
    place = folder / f"seed-{seed}-file-{number}"
    place.write_bytes(mutations.make_file(seed, number))
    how = signal.Signals(-ended.returncode).name if ended.returncode < 0 else f"exit {ended.returncode}"
    pytest.fail(f"{how} at file {number} of seed {seed}, kept as {place}:\n{ended.stderr[-3000:]}")


def check(results, num_files):
    assert sum(results.values()) == num_files
    assert results[""] > num_files / 10  # enough damage is small enough to reach the decoders
    assert len(results) > 8


def test_some_damaged_files_are_read_or_refused(tmp_path):
    check(read_damaged_files(tmp_path, seed=0, first=0, last=600), 600)


@pytest.mark.slow
def test_ten_thousand_damaged_files_are_read_or_refused(tmp_path):
    check(read_damaged_files(tmp_path, seed=1, first=0, last=10_000), 10_000)


def test_a_file_that_ends_the_process_is_named_and_kept(tmp_path, monkeypatch):
    crashing = tmp_path / "crashing.py"
    crashing.write_text("import os, signal\nprint(41)\nprint(42, flush=True)\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setattr(mutations, "__file__", str(crashing))

    with pytest.raises(pytest.fail.Exception, match="SIGSEGV at file 42 of seed 7"):
        read_damaged_files(tmp_path, seed=7, first=0, last=100)
    assert (tmp_path / "seed-7-file-42").read_bytes() == mutations.make_file(7, 42)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".dcm", ".txt", ""])
def test_a_wrong_suffix_does_not_matter(tmp_path, suffix):
    spec = ImageSpec(size=48)
    bgr = np.ascontiguousarray(RGB[:, :, ::-1])
    sources = [cv2.imencode(kind, bgr)[1].tobytes() for kind in (".jpg", ".png", ".tif")]
    for source in (*sources, write_dicom(RGB, JPEG2000Lossless, "YBR_RCT")):
        place = Path(tmp_path / f"photograph{suffix}")
        place.write_bytes(source)

        assert np.array_equal(read_photograph(place.read_bytes(), spec), read_photograph(source, spec))


@pytest.mark.parametrize("source", [b"", b"patient,age\n1,2\n", b"%PDF-1.7\n" + bytes(500), b"PK\x03\x04" + bytes(500)])
def test_what_is_no_picture_is_refused_whatever_its_suffix(tmp_path, source):
    for suffix in (".jpg", ".png", ".tif", ".dcm"):
        place = Path(tmp_path / f"photograph{suffix}")
        place.write_bytes(source)

        with pytest.raises(ImageError, match=r"empty file|not an image"):
            read_photograph(place.read_bytes(), ImageSpec(size=48))
