"""Progress of a long loop: a bar in a terminal, a plain line every few seconds elsewhere. Both go to stderr."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")

SECONDS_PER_LINE = 5.0


def track(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    """The items as they come, with progress shown while they are consumed."""
    console = Console(stderr=True)
    return _with_bar(items, total, label, console) if console.is_terminal else _with_lines(items, total, label)


def _with_bar(items: Iterable[Item], total: int, label: str, console: Console) -> Iterator[Item]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        yield from progress.track(items, total=total, description=label)


def _with_lines(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    start = last = time.monotonic()
    done = 0
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= SECONDS_PER_LINE:
            last = now
            _write(f"{label}: {done} of {total}, {done / (now - start):.0f}/s")
    _write(f"{label}: {done} of {total} in {time.monotonic() - start:.1f} s")


def _write(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  # progress is what this file prints
