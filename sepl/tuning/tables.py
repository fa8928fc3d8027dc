"""Tables for the terminal."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from sepl.metrics import Estimate, Evaluation, TaskEvaluation
from sepl.tuning.leaderboard import Leaderboard, TrialRow

_INTEREST = ("backbone", "task_split", "propagation", "num_experts", "hidden_width", "learning_rate")
_MOST_PARAMS = 6


def leaderboard_table(board: Leaderboard, most: int = 15) -> Table:
    """The best trials and the hyperparameters that differ among them, as many as a terminal has room for."""
    rows = [row for row in board.root if row.curve][:most]
    names = sorted(varying_params(rows), key=_by_interest)[:_MOST_PARAMS]
    table = Table(title=f"Trials: best {len(rows)} of {len(board.root)}", title_justify="left")
    table.add_column("trial", justify="right")
    table.add_column("state")
    table.add_column("skill", justify="right")
    table.add_column("epochs", justify="right")
    for name in names:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        params = [short(row.params.get(name)) for name in names]
        table.add_row(str(row.number), row.state, f"{row.best_skill:.3f}", str(row.num_epochs), *params)
    return table


def evaluation_table(evaluation: Evaluation) -> Table:
    """Skill of every factor with interval, floor and what is reachable; the mean below."""
    has_reachable = any(task.reachable_skill is not None for task in evaluation.tasks)
    table = Table(
        title=f"Skill on {evaluation.num_patients} {evaluation.cohort_split} patients [95 % patient bootstrap]",
        title_justify="left",
        caption="skill: 1 − MAE / MAE of the median predictor, or 2 · AUC − 1; floor: age and sex alone",
        caption_justify="left",
    )
    table.add_column("factor")
    for heading in ("role", "patients"):
        table.add_column(heading)
    for heading in ("skill", "floor", *(["reachable"] if has_reachable else []), "error", "median's"):
        table.add_column(heading, justify="right")
    for task in evaluation.tasks:
        reachable = [_figure(task.reachable_skill)] if has_reachable else []
        patients = (
            str(task.num_patients) if task.num_positive is None else f"{task.num_patients} ({task.num_positive} +)"
        )
        floor = _figure(task.floor_skill.value)
        table.add_row(task.label, task.role, patients, interval(task.skill), floor, *reachable, *_errors(task))
    table.add_section()
    means = [interval(evaluation.mean_skill), _figure(evaluation.floor_mean_skill.value)]
    table.add_row("mean", "", str(evaluation.num_patients), *means, *([""] if has_reachable else []), "", "")
    return table


def _by_interest(name: str) -> int:
    return _INTEREST.index(name) if name in _INTEREST else len(_INTEREST)


def interval(estimate: Estimate) -> str:
    if estimate.value is None:
        return "–"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def varying_params(rows: Sequence[TrialRow]) -> list[str]:
    """Hyperparameters that are not the same in all rows."""
    names = dict.fromkeys(name for row in rows for name in row.params)
    return [name for name in names if len({str(row.params.get(name)) for row in rows}) > 1]


def short(value: Any) -> str:
    """A hyperparameter as a table shows it; '–' where the trial was not asked."""
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _errors(task: TaskEvaluation) -> tuple[str, str]:
    """The task's clinical measure, and the median predictor's beside it."""
    if task.kind == "binary":
        return f"AUC {_figure(task.measures['auc'].value)}", "0.500"
    mae, median_mae = task.measures["mae"].value, task.measures["median_mae"].value
    return f"{_figure(mae)} {task.unit}", _figure(median_mae)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
