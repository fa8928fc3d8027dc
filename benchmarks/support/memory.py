"""How much memory a call needs, with all the processes that it starts."""

import os
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path

_EVERY_SECONDS = 0.02


def peak_bytes(function: Callable[[], object]) -> int:
    """Runs `function` (which can be pickled) in a fresh process; the most that it and its children held at a time.

    Resident memory by what is each process's own share of it, looked at fifty times a second. Raises RuntimeError when
    the function fails.
    """
    process = get_context("spawn").Process(target=function)
    process.start()
    assert process.pid is not None
    most = 0
    while process.is_alive():
        most = max(most, sum(_share_of(pid) for pid in _tree(process.pid)))
        time.sleep(_EVERY_SECONDS)
    process.join()
    if process.exitcode:
        raise RuntimeError(f"the measured process ended with code {process.exitcode}")
    return most


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = tasks.read_text().split()
        except OSError:  # ended since it was listed
            continue
        for child in children:
            yield from _tree(int(child))


def _share_of(pid: int) -> int:
    """Bytes resident, pages shared between processes counted in parts (PSS)."""
    if pid == os.getpid():
        return 0
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
