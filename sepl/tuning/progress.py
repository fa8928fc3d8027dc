"""What a person sees of a running study: a live panel in a terminal, else plain lines; metrics in the dashboard."""

import math
import time
from types import TracebackType
from typing import Any, Self

from ray.tune import Callback
from ray.util.metrics import Counter, Gauge
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sepl.reports.numbers import param
from sepl.tuning.results.leaderboard import Leaderboard, State, TrialRow, leaderboard
from sepl.tuning.results.tables import INTEREST
from sepl.tuning.search.budget import Budget
from sepl.tuning.search.forecast import Pace, describe_cost_ahead
from sepl.tuning.search.limits import is_refusal
from sepl.tuning.search.schedulers.base import Scheduler
from sepl.tuning.search.schedulers.rung_reliability import describe_reliability
from sepl.tuning.search.searcher import TruthfulOptunaSearch


class StudyProgress(Callback):
    """Reads the searcher's trials when one ends, so that what it shows is what Optuna was told."""

    def __init__(
        self,
        searcher: TruthfulOptunaSearch,
        scheduler: Scheduler,
        budget: Budget,
        *,
        num_trials: int,
        console: Console | None = None,
    ) -> None:
        self._searcher, self._scheduler, self._budget = searcher, scheduler, budget
        self._num_trials = num_trials
        """Of this study's own, those of earlier drivers among them."""
        self._console = console or Console(highlight=False)
        self._finished: dict[int, TrialRow] = {}
        self._board = leaderboard(searcher.study, self._finished).own()
        self._refused_before = {row.number for row in self._board.root if is_refusal(row.failure)}
        self._num_finished_before = self._num_finished
        self._started = time.monotonic()
        self._pace = Pace(budget.meter.hours if budget.meter is not None else 0.0)
        self._num_epochs = 0
        self._reliability = ""
        """Of the rungs, as far as the trials tell."""
        self._next_look = self._told_at = 0
        self._shown: set[int] = {
            row.number for row in self._board.root if row.state in ("complete", "pruned", "failed")
        }
        self._metrics = _Metrics(searcher.study.study_name)
        self._live = Live(console=self._console, get_renderable=self._panel, refresh_per_second=2, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks into a snapshot that is never read

    def on_trial_result(self, *args: Any, **event: Any) -> None:  # noqa: ARG002 - Tune's signature
        self._num_epochs += 1
        self._metrics.epochs.inc()

    def on_trial_start(self, *args: Any, **event: Any) -> None:  # noqa: ARG002
        self._refresh()

    def on_trial_complete(self, *args: Any, **event: Any) -> None:  # noqa: ARG002
        self._refresh()

    def on_trial_error(self, *args: Any, **event: Any) -> None:  # noqa: ARG002
        self._refresh()

    @property
    def _num_finished(self) -> int:
        counts = self._board.counts()
        return counts["complete"] + counts["pruned"] + counts["failed"] - self._num_refused()

    def _num_refused(self) -> int:
        """Since this driver began; they are beside the number that was asked for."""
        return sum(is_refusal(row.failure) and row.number not in self._refused_before for row in self._board.root)

    def _refresh(self) -> None:
        self._board = leaderboard(self._searcher.study, self._finished).own()
        self._metrics.show(self._board)
        for row in sorted(self._board.root, key=lambda row: row.number):
            if row.state in ("complete", "pruned", "failed") and row.number not in self._shown:
                self._shown.add(row.number)
                self._tell(row)
                self._look_at_rungs()

    def _look_at_rungs(self) -> None:
        if self._num_finished < self._next_look:  # the bootstrap costs a driver of many trials too much for each
            return
        self._next_look = math.ceil(1.2 * self._num_finished)
        epochs = [epoch for epoch, _ in self._scheduler.rungs()]
        curves = [row.curve for row in self._board.root]
        self._reliability = describe_reliability(curves, epochs, self._searcher.num_epochs)
        if self._reliability and not self._console.is_terminal and self._num_finished >= 2 * self._told_at:
            self._told_at = self._num_finished
            self._console.print(f"rank correlation with late epochs  {self._reliability}", soft_wrap=True)

    def _tell(self, row: TrialRow) -> None:
        if not self._console.is_terminal:
            self._console.print(f"{describe_trial(row)} | {self._counts()}", soft_wrap=True)
        elif row.state == "failed":
            self._console.print(describe_trial(row))

    def _counts(self) -> str:
        running = self._board.counts()["running"]
        return f"{self._num_finished}/{self._num_trials} finished, {running} running, {self._time_left()}"

    def _time_left(self) -> str:
        """By the pace of this driver so far, never beyond a budget; and what the search will have cost by then."""
        elapsed = time.monotonic() - self._started
        num_done, num_left = self._num_finished - self._num_finished_before, self._num_trials - self._num_finished
        ahead = self._pace.forecast(self._budget, elapsed, num_done, num_left)
        told = ["time left unknown" if ahead.seconds_left is None else f"about {clock(ahead.seconds_left)} left"]
        if self._budget.meter is not None and ahead.hours is not None:
            told.append(describe_cost_ahead(ahead, self._budget.meter.unit))
        if self._budget.flatness is not None:
            told.append(str(self._budget.flatness))
        return ", ".join(told)

    def _panel(self) -> Group:
        counts = self._board.counts()
        line = Table.grid(padding=(0, 2))
        line.add_row(
            ProgressBar(total=self._num_trials, completed=self._num_finished, width=30),
            f"{self._num_finished}/{self._num_trials} trials",
            *(f"{number} {state}" for state, number in counts.items() if number and state != "waiting"),
            self._time_left(),
        )
        rungs = "  ".join(f"epoch {epoch}: {number}" for epoch, number in self._scheduler.rungs())
        best = max((row for row in self._board.root if row.curve), key=lambda row: row.best_skill or 0.0, default=None)
        told = "none yet" if best is None else f"{best.best_skill:.3f}, {_describe_params(best)}"
        spent = f"{clock(time.monotonic() - self._started)}, {self._num_epochs} epochs"
        worth = [Text(f"rank correlation with late epochs  {self._reliability}")] if self._reliability else []
        return Group(line, Text(f"reached  {rungs}"), *worth, Text(f"best skill  {told}"), Text(f"so far  {spent}"))


class _Metrics:
    """Time series beside Ray's own; Tune has no page in the dashboard."""

    def __init__(self, study: str) -> None:
        tags = {"study": study}
        self.epochs = Counter("sepl_search_epochs", "Epochs trained", tag_keys=("study",))
        self.epochs.set_default_tags(tags)
        self._best = Gauge("sepl_search_best_skill", "Best mean skill on validation patients", tag_keys=("study",))
        self._best.set_default_tags(tags)
        self._trials = Gauge("sepl_search_trials", "Trials by state", tag_keys=("study", "state"))
        self._trials.set_default_tags(tags)

    def show(self, board: Leaderboard) -> None:
        states: dict[State, int] = board.counts()
        for state, number in states.items():
            self._trials.set(number, tags={"state": state})
        best = max((row.best_skill for row in board.root if row.best_skill is not None), default=None)
        if best is not None:
            self._best.set(best)


def describe_trial(row: TrialRow) -> str:
    """One line: what became of a trial."""
    if row.state == "failed":
        return f"trial {row.number} failed: {row.failure}"
    ending = "ran to the end" if row.state == "complete" else f"stopped at epoch {row.num_epochs}"
    return f"trial {row.number} {ending}, skill {row.best_skill:.3f}, {_describe_params(row)}"


def clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes}:{seconds:02d} min"


def _describe_params(row: TrialRow) -> str:
    return ", ".join(f"{name} {param(row.params[name])}" for name in INTEREST if name in row.params)
