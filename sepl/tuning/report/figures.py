"""The report's figures, as plotly figures."""

from html import escape

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sepl.metrics import Evaluation, TaskEvaluation
from sepl.reports.numbers import param
from sepl.reports.plots import ACCENT, AROUND_ZERO, FAINT, FROM_NOTHING, INK, SECOND, empty_figure, matrix, style
from sepl.training.affinity.record import Affinity
from sepl.tuning.report.search_figures import COLOURS, add_best_so_far
from sepl.tuning.results.importance import Importance
from sepl.tuning.results.leaderboard import Leaderboard, State, TrialRow

_STATE_NAMES: dict[State, str] = {
    "complete": "ran to the end",
    "pruned": "stopped early",
    "running": "unfinished",
    "waiting": "unfinished",
    "failed": "failed",
}


def history_figure(board: Leaderboard) -> go.Figure:
    """Each trial's best skill in the order they began, and the best full run so far."""
    figure = empty_figure("trial", "best skill")
    looks: dict[State, tuple[str, str]] = {"pruned": (FAINT, "circle-open"), "complete": (ACCENT, "circle")}
    for state, (colour, symbol) in looks.items():
        rows = [row for row in board.root if row.state == state]
        figure.add_scatter(
            x=[row.number for row in rows],
            y=[row.best_skill for row in rows],
            mode="markers",
            name=_STATE_NAMES[state],
            marker={"color": colour, "symbol": symbol, "size": 10, "line": {"width": 2, "color": colour}},
            text=[_describe(row) for row in rows],
            hovertemplate="%{text}<extra></extra>",
        )
    steps = _best_so_far(board)
    add_best_so_far(figure, steps)
    return figure


def curves_figure(board: Leaderboard) -> go.Figure:
    """Best skill so far by epoch of every trial; a cross where ASHA stopped one."""
    figure = empty_figure("epoch", "best skill so far")
    figure.update_layout(legend={"traceorder": "reversed"})
    best = board.best()
    named: set[str] = set()
    for row in reversed([row for row in board.root if row.curve]):
        is_best = best is not None and row.number == best.number
        name = f"winner, trial {row.number}" if is_best else _STATE_NAMES[row.state]
        colour = SECOND if is_best else COLOURS[row.state]
        marks = [9 if epoch == row.num_epochs or len(row.curve) == 1 else 0 for epoch in row.curve]
        figure.add_scatter(
            x=list(row.curve),
            y=list(row.curve.values()),
            mode="lines+markers",
            name=name,
            legendgroup=name,
            showlegend=name not in named,
            opacity=1.0 if row.state == "complete" else 0.8,
            line={"color": colour, "width": 3 if is_best else 1.5},
            marker={"size": marks, "symbol": "circle" if row.state == "complete" else "x", "color": colour},
            text=[_describe(row)] * len(row.curve),
            hovertemplate="%{text}<br>epoch %{x}: %{y:.3f}<extra></extra>",
        )
        named.add(name)
    return figure


def importance_figure(importance: Importance) -> go.Figure:
    """A bar for each hyperparameter, the most important on top."""
    names = list(importance.shares)[::-1]
    figure = empty_figure("share of explained variance", "", height=80 + 32 * len(names))
    figure.add_bar(
        x=[importance.shares[name] for name in names],
        y=[name.replace("_", " ") for name in names],
        orientation="h",
        marker={"color": ACCENT},
        texttemplate="%{x:.2f}",
        textposition="outside",
        cliponaxis=False,
        hoverinfo="skip",
    )
    return figure


def skill_figure(evaluation: Evaluation) -> go.Figure:
    """Skill per factor with its interval against the floor and, where known, what is reachable."""
    tasks = evaluation.tasks[::-1]
    figure = empty_figure("skill on the sealed test patients", "", height=110 + 32 * len(tasks))
    figure.add_vline(x=0, line={"color": FAINT, "width": 1})
    _add_marks(figure, tasks, "reachable", [task.reachable_skill for task in tasks], "line-ns-open", INK)
    _add_marks(figure, tasks, "floor (age and sex)", [task.floor_skill.value for task in tasks], "diamond", FAINT)
    for role, colour in (("prior", SECOND), ("target", ACCENT)):
        shown = [task for task in tasks if task.role == role and task.skill.value is not None]
        figure.add_scatter(
            x=[task.skill.value for task in shown],
            y=[task.label for task in shown],
            mode="markers",
            name=f"skill, {role}",
            marker={"color": colour, "size": 11},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [(task.skill.high or 0) - (task.skill.value or 0) for task in shown],
                "arrayminus": [(task.skill.value or 0) - (task.skill.low or 0) for task in shown],
                "thickness": 1.5,
                "width": 4,
            },
            text=[str(task.skill) for task in shown],
            hovertemplate="%{y}: %{text}<extra></extra>",
        )
    figure.update_yaxes(categoryorder="array", categoryarray=[task.label for task in tasks])
    return figure


def confusion_figure(task: TaskEvaluation) -> go.Figure:
    """A heat map of a graded task's patients by true level (rows) and predicted one, coloured by share of the row."""
    counts_LL = np.array(task.confusion, np.float64)
    shares_LL = counts_LL / np.maximum(counts_LL.sum(axis=1, keepdims=True), 1.0)
    names = [escape(level) for level in task.levels]
    hover = "true {row}, predicted {column}: {value:.0f}"
    figure = matrix(
        counts_LL, names, names, {"colorscale": FROM_NOTHING, "zmin": 0.0, "zmax": 1.0}, decimals=0, hover=hover
    )
    figure.data[0].z = shares_LL
    figure.update_xaxes(title="predicted")
    figure.update_yaxes(title="true")
    return figure


def affinity_figure(affinity: Affinity) -> go.Figure:
    """A heat map each of what was measured of how the row's factor helps the column's."""
    panels = {
        "may gain when the row's is known": affinity.benefit,
        "label correlation": affinity.label_correlation,
        "gradient cosine": affinity.gradient_cosine,
        "lookahead": affinity.lookahead,
    }
    names = list(affinity.tasks)
    figure = make_subplots(rows=2, cols=2, subplot_titles=list(panels), horizontal_spacing=0.16, vertical_spacing=0.16)
    for index, measured in enumerate(panels.values()):
        values = [
            [None if row == column else value for column, value in enumerate(line)] for row, line in enumerate(measured)
        ]
        figure.add_heatmap(
            z=values,
            x=names,
            y=names,
            zmid=0,
            colorscale=AROUND_ZERO,
            showscale=False,
            xgap=1,
            ygap=1,
            hovertemplate="%{y} → %{x}: %{z:.3f}<extra></extra>",
            row=index // 2 + 1,
            col=index % 2 + 1,
        )
    style(figure, height=300 + 44 * len(names))
    figure.update_xaxes(title="", tickangle=-45, showgrid=False)
    figure.update_yaxes(title="", autorange="reversed", showgrid=False)
    return figure


def _add_marks(
    figure: go.Figure,
    tasks: tuple[TaskEvaluation, ...],
    name: str,
    skills: list[float | None],
    symbol: str,
    colour: str,
) -> None:
    known = [(skill, task.label) for skill, task in zip(skills, tasks, strict=True) if skill is not None]
    if known:
        figure.add_scatter(
            x=[skill for skill, _ in known],
            y=[label for _, label in known],
            mode="markers",
            name=name,
            marker={"symbol": symbol, "color": colour, "size": 11, "line": {"width": 2, "color": colour}},
            hovertemplate=f"%{{y}}, {name}: %{{x:.3f}}<extra></extra>",
        )


def _best_so_far(board: Leaderboard) -> list[tuple[int, float]]:
    steps: list[tuple[int, float]] = []
    for row in sorted(board.root, key=lambda row: row.number):
        if row.state == "complete" and row.best_skill is not None:
            steps.append((row.number, max(row.best_skill, steps[-1][1] if steps else row.best_skill)))
    if steps:
        steps.append((max(row.number for row in board.root), steps[-1][1]))
    return steps


def _describe(row: TrialRow) -> str:
    params = "<br>".join(f"{name}: {param(value)}" for name, value in row.params.items())
    return f"<b>trial {row.number}</b>, {_STATE_NAMES[row.state]}, {row.num_epochs} epochs<br>{params}"
