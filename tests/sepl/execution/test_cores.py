"""How many cores there are, also where the system does not tell which of them a process may use."""

import os
import re
from pathlib import Path

import pytest

from sepl.execution.cores import num_cores

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system does not tell")
def test_the_cores_that_a_process_may_use_are_counted() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert num_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(("count", "cores"), [(6, 6), (None, 1)])
def test_without_sched_getaffinity_all_cores_are_counted_and_at_least_one(
    monkeypatch: pytest.MonkeyPatch, count: int | None, cores: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)

    assert num_cores() == cores


def test_nobody_else_counts_cores() -> None:
    rooms = [ROOT / room for room in ("sepl", "jobs", "serve", "benchmarks", "search_spaces")]
    files = [file for room in rooms for file in room.rglob("*.py")]

    counting = {file.name for file in files if re.search(r"sched_getaffinity|cpu_count\(", file.read_text("utf-8"))}

    assert counting == {"cores.py"}
