"""The report of a running study is written now and then, beside the driver, and never after it."""

import itertools
import pickle
import subprocess
from typing import Any

from sepl.tuning.report.live import SECONDS, LiveReport


class Process:
    """A report that takes as long as the test says."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.was_killed = False

    def poll(self) -> int | None:
        return self.code

    def wait(self, timeout: float | None = None) -> int:
        if self.code is None and timeout is not None:
            raise subprocess.TimeoutExpired("report", timeout)
        return self.code or 0

    def kill(self) -> None:
        self.was_killed, self.code = True, -9


class World:
    """A clock and what was started."""

    def __init__(self) -> None:
        self.now = 0.0
        self.processes: list[Process] = []

    def start(self, command: list[str], **options: Any) -> Process:
        self.processes.append(Process())
        return self.processes[-1]

    def live(self) -> LiveReport:
        return LiveReport("runs", "first", "runs/first/report.html", clock=lambda: self.now, start=self.start)


def test_nothing_is_written_within_the_first_minute_and_one_at_a_time_after() -> None:
    world = World()
    live = world.live()
    live.on_trial_result()
    early = len(world.processes)
    for _ in range(10):
        world.now += SECONDS
        live.on_trial_result()

    assert early == 0
    assert len(world.processes) == 1  # which has not ended


def test_reports_take_a_twentieth_of_the_time_at_most() -> None:
    world = World()
    live = world.live()
    begun: list[float] = []
    for _ in range(20_000):
        world.now += 1.0
        before = len(world.processes)
        live.on_trial_complete()
        if len(world.processes) > before:
            begun.append(world.now)
        if begun and world.now - begun[-1] >= 30.0:
            world.processes[-1].code = 0

    assert len(begun) > 5
    assert min(after - before for before, after in itertools.pairwise(begun)) >= 20 * 30.0


def test_no_report_is_being_written_once_the_driver_has_gone_on() -> None:
    world = World()
    with world.live() as live:
        world.now += SECONDS
        live.on_trial_result()

    assert world.processes[0].was_killed


def test_a_machine_that_starts_no_process_costs_a_report_and_no_search() -> None:
    refused: list[list[str]] = []

    def refuse(command: list[str], **options: Any) -> Any:
        refused.append(command)
        raise OSError("no more processes")

    times = iter([0.0, 0.0, SECONDS, SECONDS, SECONDS, SECONDS])
    live = LiveReport("runs", "first", "out", clock=lambda: next(times), start=refuse)

    live.on_trial_result()

    assert len(refused) == 1


def test_tune_can_pickle_it() -> None:
    assert isinstance(pickle.loads(pickle.dumps(World().live())), LiveReport)
