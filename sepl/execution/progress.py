"""Progress of a long loop: a bar in a terminal, a plain line every few seconds elsewhere. Both go to stderr."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")
Advance = Callable[[int], None]

SECONDS_PER_LINE = 5.0


def track(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    """The items as they come, with progress shown while they are consumed."""
    with progress(total, label) as advance:
        for item in items:
            yield item
            advance(1)


@contextmanager
def progress(total: int, label: str) -> Iterator[Advance]:
    """Shows progress while the context lasts; call what it gives with the number of items done since."""
    console = Console(stderr=True)
    with _bar(total, label, console) if console.is_terminal else _lines(total, label) as advance:
        yield advance


@contextmanager
def _bar(total: int, label: str, console: Console) -> Iterator[Advance]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(label, total=total)
        yield lambda count: bar.advance(task, count)


@contextmanager
def _lines(total: int, label: str) -> Iterator[Advance]:
    start = last = time.monotonic()
    done = 0

    def advance(count: int) -> None:
        nonlocal done, last
        done += count
        now = time.monotonic()
        if now - last >= SECONDS_PER_LINE:
            last = now
            _write(f"{label}: {done} of {total}, {done / (now - start):.0f}/s")

    yield advance
    _write(f"{label}: {done} of {total} in {time.monotonic() - start:.1f} s")


def _write(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  # progress is what this file prints
