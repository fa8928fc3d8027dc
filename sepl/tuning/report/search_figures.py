"""Figures of how the search went: against hours and money, how many trials at once, what they had and predicted."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from sepl.reports.numbers import ABSENT, param
from sepl.reports.plots import ACCENT, FAINT, GRID, INK, WARN, empty_figure, matrix, style
from sepl.tuning.report.study_page import Spent
from sepl.tuning.results.leaderboard import State, TrialRow
from sepl.tuning.results.tables import varying_params

COLOURS: dict[State, str] = {
    "complete": ACCENT,
    "pruned": FAINT,
    "failed": WARN,
    "running": FAINT,
    "waiting": FAINT,
}
"""By what became of a trial."""
_SHAPES: tuple[tuple[State, str, str], ...] = (
    ("pruned", "stopped early", "circle-open"),
    ("complete", "ran to the end", "circle"),
)
MOST_COLUMNS = 60
"""Trials beside each other, the best ones."""
_MOST_CHOICES = 24


def hours_figure(rows: Sequence[TrialRow], spent: Sequence[Spent], unit: str, price: float | None) -> go.Figure:
    """Best skill of each trial against what all had used when it ended; money on a second axis where it has a price."""
    by_number = {row.number: row for row in rows}
    figure = empty_figure(unit, "best skill")
    for state, name, symbol in _SHAPES:
        shown = [(one, by_number[one.number]) for one in spent if _is(by_number.get(one.number), state)]
        figure.add_scatter(
            x=[one.hours for one, _ in shown],
            y=[row.best_skill for _, row in shown],
            mode="markers",
            name=name,
            marker={
                "color": COLOURS[state],
                "symbol": symbol,
                "size": 10,
                "line": {"width": 2, "color": COLOURS[state]},
            },
            text=[f"trial {row.number}, {row.num_epochs} epochs" for _, row in shown],
            hovertemplate="%{text}<br>%{x:.3f} " + unit + ": %{y:.3f}<extra></extra>",
        )
    steps = _best_so_far(by_number, spent)
    add_best_so_far(figure, steps)
    if price and spent:
        _add_money(figure, spent[-1].hours, price)
    return figure


def occupancy_figure(steps: Sequence[tuple[float, int]]) -> go.Figure:
    """How many trials ran at once, over the hours of the clock since the first began."""
    figure = empty_figure("hours since the first trial began", "trials at once", height=240)
    figure.add_scatter(
        x=[hours for hours, _ in steps],
        y=[running for _, running in steps],
        mode="lines",
        line={"color": ACCENT, "width": 1.5, "shape": "hv"},
        fill="tozeroy",
        hovertemplate="%{x:.2f} h: %{y}<extra></extra>",
        showlegend=False,
    )
    figure.update_yaxes(rangemode="tozero", tickformat="d")
    return figure


def parallel_figure(rows: Sequence[TrialRow]) -> go.Figure | None:
    """A line a trial over the hyperparameters that differ, coloured by skill; None of fewer than two trials."""
    rows = [row for row in rows if row.best_skill is not None]
    names = varying_params(rows)
    if len(rows) < 2 or not names:
        return None
    skills = [row.best_skill for row in rows]
    dimensions = [_dimension(name, [row.params.get(name) for row in rows]) for name in names]
    figure = go.Figure()
    style(figure, 420)
    figure.update_layout(margin={"l": 70, "r": 70, "t": 60, "b": 30})
    figure.add_parcoords(
        dimensions=[*dimensions, {"label": "best skill", "values": skills}],
        line={"color": skills, "colorscale": [[0, GRID], [1, ACCENT]], "showscale": True},
        labelangle=-20,
        labelfont={"size": 12, "color": INK},
    )
    return figure


def roles_figure(columns: Sequence[str], tasks: Sequence[str], is_prior_KT: Sequence[Sequence[bool]]) -> go.Figure:
    """Tasks × trials: a prior is dark, a target light. `is_prior_KT` has a row a trial, the best first."""
    values = np.array(is_prior_KT, np.float64).T
    colours: dict[str, Any] = {"colorscale": [[0, "#eef1f4"], [1, ACCENT]], "zmin": 0.0, "zmax": 1.0}
    figure = matrix(
        values, list(columns), [escape(task) for task in tasks], colours, decimals=0, hover="{row}: {column}"
    )
    figure.data[0].texttemplate = None
    return figure


def _is(row: TrialRow | None, state: State) -> bool:
    return row is not None and row.state == state and row.best_skill is not None


def add_best_so_far(figure: go.Figure, steps: Sequence[tuple[float, float]]) -> None:
    """The staircase of (place, skill)."""
    figure.add_scatter(
        x=[place for place, _ in steps],
        y=[skill for _, skill in steps],
        mode="lines",
        line={"color": ACCENT, "width": 1.5, "shape": "hv"},
        name="best so far",
        hoverinfo="skip",
    )


def _best_so_far(by_number: Mapping[int, TrialRow], spent: Sequence[Spent]) -> list[tuple[float, float]]:
    """Of full runs, which alone can win."""
    steps: list[tuple[float, float]] = []
    for one in spent:
        row = by_number.get(one.number)
        if row is not None and row.state == "complete" and row.best_skill is not None:
            steps.append((one.hours, max(row.best_skill, steps[-1][1] if steps else row.best_skill)))
    if steps:
        steps.append((spent[-1].hours, steps[-1][1]))
    return steps


def _add_money(figure: go.Figure, hours: float, price: float) -> None:
    """A second axis of the same length on top; plotly shows one only with something drawn on it."""
    most = max(hours, 1e-9) * 1.03
    figure.add_scatter(x=[0, most * price], y=[None, None], xaxis="x2", showlegend=False, hoverinfo="skip")
    figure.update_layout(
        xaxis={"range": [0, most]},
        xaxis2={"overlaying": "x", "side": "top", "range": [0, most * price], "title": "cost", "showgrid": False},
        legend={"y": -0.2, "yanchor": "top"},
    )


def _dimension(name: str, values: Sequence[Any]) -> dict[str, Any]:
    """One axis. Numbers over three powers of ten and more are on a logarithmic scale; absent ones below all others."""
    told = [value for value in values if value is not None]
    label = name.replace("_", " ")
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in told):
        return _choices(label, values)
    is_log = min(told) > 0 and max(told) / min(told) >= 30
    places = [math.nan if value is None else math.log10(value) if is_log else float(value) for value in values]
    low, high = np.nanmin(places), np.nanmax(places)
    ticks = list(np.linspace(low, high, 5))
    texts = [param(10**tick if is_log else tick) for tick in ticks]
    if len(told) < len(values):
        below = low - 0.15 * (high - low or 1.0)
        places = [below if math.isnan(place) else place for place in places]
        ticks, texts = [below, *ticks], [ABSENT, *texts]
    return {"label": label, "values": places, "tickvals": ticks, "ticktext": texts}


def _choices(label: str, values: Sequence[Any]) -> dict[str, Any]:
    names = [param(value) for value in values]
    order = {name: place for place, name in enumerate(sorted(set(names)))}
    return {
        "label": label,
        "values": [order[name] for name in names],
        "tickvals": list(order.values()),
        "ticktext": [escape(name if len(name) <= _MOST_CHOICES else f"{name[: _MOST_CHOICES - 1]}…") for name in order],
    }
