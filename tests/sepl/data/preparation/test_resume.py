"""A run killed anywhere and begun again gives the bytes of one that was not; two runs never write one output."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from builders import build_cohort
from s3 import new_place, serve_s3

from sepl.data.cohort.cohort import read_cohort
from sepl.data.dataset import shards
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.preparation import chunks
from sepl.data.preparation.prepare import prepare
from sepl.errors import StorageError
from sepl.locking import hold
from sepl.storage import resolve

CHUNK = 4


@pytest.fixture(scope="module")
def cohort_file(tmp_path_factory):
    return build_cohort(tmp_path_factory.mktemp("cohort"), num_patients=40, image_size=400)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(shards, "SHARD_PHOTOGRAPHS", CHUNK)


def run(cohort_file, out):
    return prepare(read_cohort(cohort_file), out, 32, num_workers=1)


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def start(cohort_file, out, num_workers):
    """The same in a process of its own that goes slowly enough to be hit."""
    code = (
        "import sys, time; from pathlib import Path; from sepl.data.preparation import chunks, prepare\n"
        "from sepl.execution import executor as parallel; from sepl.data.dataset import shards\n"
        "from sepl.data.cohort.cohort import read_cohort\n"
        f"shards.SHARD_PHOTOGRAPHS, parallel._ALONE_SECONDS = {CHUNK}, {-1.0 if num_workers > 1 else 1e9}\n"
        "examine = chunks.examine_photograph\n"
        "def slowly(*arguments, **options):\n"
        "    time.sleep(0.02)\n"
        "    return examine(*arguments, **options)\n"
        "chunks.examine_photograph = slowly\n"
        f"prepare.prepare(read_cohort(Path({str(cohort_file)!r})), {str(out)!r}, 32, num_workers={num_workers})\n"
    )
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)


def kill_after(process, num_chunks, num_done):
    """Kills the process once so many chunks are done; whether it was still running."""
    while process.poll() is None and num_done() < num_chunks:
        time.sleep(0.002)
    process.kill()
    return process.wait() == -signal.SIGKILL


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_run_that_was_killed_goes_on_to_the_same_bytes(cohort_file, tmp_path, num_workers, monkeypatch):
    run(cohort_file, tmp_path / "whole")
    done = lambda: len(list((tmp_path / ".out-preparing" / "chunks").glob("*.parquet")))  # noqa: E731
    for _ in range(2):
        process = start(cohort_file, tmp_path / "out", num_workers)
        assert kill_after(process, done() + random.randint(1, 5), done)
        assert not (tmp_path / "out").exists()
    num_done = done()
    decoded = count_calls(monkeypatch)

    run(cohort_file, tmp_path / "out")

    assert len(decoded) == 80 - CHUNK * num_done
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")
    assert not (tmp_path / ".out-preparing").exists()


def test_workers_end_with_a_run_that_is_killed(cohort_file, tmp_path):
    process = start(cohort_file, tmp_path / "out", 2)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    assert kill_after(process, 1, lambda: remember(workers, children) and len(list(tmp_path.rglob("*.parquet"))))

    deadline = time.monotonic() + 20
    while any(map(runs, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(workers) >= 2
    assert not any(map(runs, workers))


workers: set[int] = set()


def remember(found, children):
    found.update(int(text) for text in children.read_text().split())
    return True


def runs(process):
    try:
        state = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow
def test_a_run_that_was_killed_while_it_wrote_goes_on_in_an_object_store(cohort_file, tmp_path):
    with serve_s3() as endpoint:
        whole, out = new_place(endpoint), new_place(endpoint)
        run(cohort_file, whole)
        process = start(cohort_file, out, 1)
        assert kill_after(process, 3, lambda: len((resolve(out) / ".preparing" / "chunks").list_folder()))

        run(cohort_file, out)

        assert remote_files(out) == remote_files(whole)
        PreparedDataset.open(out, cache=tmp_path).verify()


def remote_files(uri):
    return {place.name: place.read_bytes() for place in resolve(uri).list_folder() if not place.is_folder()}


def test_a_chunk_whose_pixels_are_written_and_facts_are_not_is_done_again(cohort_file, tmp_path, monkeypatch):
    run(cohort_file, tmp_path / "whole")
    written = []

    def fail(work, key):
        written.append(key)
        if len(written) == 3:
            raise KeyboardInterrupt
        return place(work, key)

    place = chunks._facts_place
    with monkeypatch.context() as patch:
        patch.setattr(chunks, "is_decoded", lambda work, key: False)
        patch.setattr(chunks, "_facts_place", fail)
        with pytest.raises(KeyboardInterrupt):
            run(cohort_file, tmp_path / "out")

    run(cohort_file, tmp_path / "out")

    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")


def count_calls(monkeypatch):
    calls = []
    examine = chunks.examine_photograph

    def counted(*arguments, **options):
        calls.append(options["frame"])
        return examine(*arguments, **options)

    monkeypatch.setattr(chunks, "examine_photograph", counted)
    return calls


def test_of_two_runs_at_once_the_second_refuses_and_the_first_is_whole(cohort_file, tmp_path):
    first = start(cohort_file, tmp_path / "out", 1)
    while not (tmp_path / ".out-preparing").exists():
        time.sleep(0.002)

    with pytest.raises(StorageError, match=rf"another run is preparing .*\(process {first.pid} on .*wait until it has"):
        run(cohort_file, tmp_path / "out")

    assert first.wait() == 0
    run(cohort_file, tmp_path / "whole")
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")


@pytest.mark.slow
def test_many_runs_at_once_in_processes_leave_one_whole_dataset(cohort_file, tmp_path):
    processes = [start(cohort_file, tmp_path / "out", 1) for _ in range(3)]
    codes = [process.wait() for process in processes]

    assert codes.count(0) >= 1
    PreparedDataset.open(tmp_path / "out").verify()
    assert {path.name for path in tmp_path.iterdir()} == {"out"}


def test_a_held_output_is_free_again_afterwards(tmp_path):
    target = resolve(tmp_path / "out")
    with (
        hold(target),
        pytest.raises(StorageError, match=f"another run is preparing .*process {os.getpid()}"),
        hold(target),
    ):
        pass

    with hold(target):
        pass
    assert not list(tmp_path.iterdir())
