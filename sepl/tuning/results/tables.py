"""Tables for the terminal."""

from collections.abc import Sequence

from rich.table import Table

from sepl.reports.numbers import figure, param
from sepl.training.affinity.record import Affinity
from sepl.tuning.results.leaderboard import Leaderboard, TrialRow

INTEREST = ("family", "backbone", "task_split", "propagation", "num_experts", "hidden_width", "learning_rate")
"""Hyperparameters that people look at first, where there is no room for all."""
_MOST_PARAMS = 6
CLOSED_FORM = "closed form"
"""What stands first among trials: regressions on features that are never trained, which no trial should lose to."""


def leaderboard_table(board: Leaderboard, most: int = 15, *, closed_form: float | None = None) -> Table:
    """The best trials and the hyperparameters that differ among them, as many as a terminal has room for.

    Above them, where it is given, the skill of regressions on features that are never trained.
    """
    rows = [row for row in board.root if row.curve][:most]
    names = sorted(varying_params(rows), key=_by_interest)[:_MOST_PARAMS]
    table = Table(title=f"Trials: best {len(rows)} of {len(board.root)}", title_justify="left")
    table.add_column("trial", justify="right")
    table.add_column("state")
    table.add_column("skill", justify="right")
    judged = any(row.known_skill is not None for row in rows)
    for name in ("nothing known", "known") if judged else ():
        table.add_column(name, justify="right")
    table.add_column("epochs", justify="right")
    for name in names:
        table.add_column(name.replace("_", " "), overflow="fold")
    if closed_form is not None:
        table.add_row("–", CLOSED_FORM, figure(closed_form), *(("", "") if judged else ()), "", *("" for _ in names))
    for row in rows:
        params = [param(row.params.get(name)) for name in names]
        both = (figure(row.unknown_skill), figure(row.known_skill)) if judged else ()
        state = row.state if row.from_study is None else f"{row.state}, {row.from_study}'s"
        table.add_row(str(row.number), state, figure(row.best_skill), *both, str(row.num_epochs), *params)
    return table


def affinity_table(affinity: Affinity, most: int = 10) -> Table:
    """The task splits that were ranked, the best first."""
    table = Table("task split", "score", title="What to predict first", title_justify="left")
    for split in affinity.splits[:most]:
        table.add_row(split.task_split, figure(split.score))
    return table


def _by_interest(name: str) -> int:
    return INTEREST.index(name) if name in INTEREST else len(INTEREST)


def varying_params(rows: Sequence[TrialRow]) -> list[str]:
    """Hyperparameters that are not the same in all rows."""
    names = dict.fromkeys(name for row in rows for name in row.params)
    return [name for name in names if len({str(row.params.get(name)) for row in rows}) > 1]
