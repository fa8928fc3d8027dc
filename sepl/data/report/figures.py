"""The figures of the report of a preparation, as plotly figures."""

from collections.abc import Sequence
from html import escape

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from sepl.data.imaging.quality import Limits
from sepl.data.patients.splits import COHORT_SPLITS
from sepl.data.report.counts import Histogram, LabelCounts, TaskCounts
from sepl.reports.plots import (
    ACCENT,
    AROUND_ZERO,
    FAINT,
    FROM_NOTHING,
    INK,
    WARN,
    cut,
    empty_figure,
    matrix,
    panels,
    place,
)
from sepl.tasks import Task

_LONGEST_LEVEL = 14
SPLIT_COLOURS = {"train": "#9aa5b1", "validation": "#1c7ed6", "calibration": "#f59f00", "test": "#0b7285"}


def label_histograms(counts: LabelCounts) -> go.Figure:
    """A panel a task, with the plausible range where it is near the values."""
    titles = [_task_title(entry.task) for entry in counts.tasks]
    figure = panels(titles, "patients")
    for index, entry in enumerate(counts.tasks):
        row, column = place(index)
        names = ("0", "1") if entry.task.kind == "binary" else entry.task.levels
        if names:
            _add_bars(figure, index, entry.histogram, "", fill=0.5)
            shown = [escape(cut(name, _LONGEST_LEVEL)) for name in names]
            figure.update_xaxes(tickvals=list(range(len(names))), ticktext=shown, row=row, col=column)
            continue
        _add_bars(figure, index, entry.histogram, entry.task.unit)
        _add_limits(figure, index, entry.histogram, (entry.task.low, entry.task.high), FAINT)
    return figure


def quality_histograms(histograms: dict[str, Histogram], limits: dict[str, Limits]) -> go.Figure:
    """A panel a measure, with its limits; counts on a logarithmic scale, so that the few near a limit are seen."""
    figure = panels([name.replace("_", " ") for name in histograms], "photographs")
    for index, (name, found) in enumerate(histograms.items()):
        _add_bars(figure, index, found, "")
        if name in limits:
            _add_limits(figure, index, found, (limits[name].low, limits[name].high), WARN, far=float("inf"))
    figure.update_yaxes(type="log", dtick=1, rangemode="tozero")
    return figure


def missingness_figure(counts: LabelCounts) -> go.Figure:
    """Share of photographs without a label: a row a task, a column a cohort split, site or camera."""
    figure = matrix(
        np.array([entry.missing_G for entry in counts.tasks]) * 100,
        [f"{escape(cut(column.name, 20))} ({column.num_photographs:,})" for column in counts.columns],
        [escape(cut(entry.task.label)) for entry in counts.tasks],
        {"colorscale": FROM_NOTHING, "zmin": 0, "zmax": 100},
        decimals=1,
        hover="{row}, {column}: {value:.1f} % missing",
    )
    kinds = [column.kind for column in counts.columns]
    for column, kind in enumerate(kinds):
        if column and kind != kinds[column - 1]:
            figure.add_vline(x=column - 0.5, line={"color": INK, "width": 1.5})
            figure.add_annotation(
                x=column - 0.5, y=1, yref="paper", xanchor="left", yanchor="bottom", showarrow=False, text=kind
            )
    return figure


def correlation_figure(counts: LabelCounts) -> go.Figure:
    """Spearman's correlation of every two tasks."""
    names = [escape(cut(entry.task.label)) for entry in counts.tasks]
    below = np.tril(np.ones_like(counts.correlation_TT, bool), -1)
    shown = np.where(below, counts.correlation_TT, np.nan)[1:, :-1]
    return matrix(
        shown,
        names[:-1],
        names[1:],
        {"colorscale": AROUND_ZERO, "zmin": -1, "zmax": 1},
        decimals=2,
        hover="{row} and {column}: {value:.2f}",
    )


def balance_figure(tasks: Sequence[TaskCounts]) -> go.Figure:
    """Difference of each cohort split's mean from train's, in standard deviations, with its 95 % interval."""
    figure = empty_figure("difference from train, in standard deviations", height=120 + 34 * len(tasks))
    figure.add_vline(x=0, line={"color": FAINT, "width": 1})
    names = [cut(entry.task.label) for entry in tasks]
    for rank, split in enumerate(COHORT_SPLITS[1:]):
        index = COHORT_SPLITS.index(split)
        points = [(row, *found) for row, entry in enumerate(tasks) if (found := _difference(entry, index))]
        figure.add_scatter(
            x=[value for _, value, _ in points],
            y=[row + 0.22 * (rank - 1) for row, _, _ in points],
            mode="markers",
            name=split,
            marker={"color": SPLIT_COLOURS[split], "size": 8},
            error_x={"type": "data", "array": [half for _, _, half in points], "thickness": 1.5, "width": 3},
            text=[escape(names[row]) for row, _, _ in points],
            hovertemplate=f"%{{text}}, {split}: %{{x:.3f}}<extra></extra>",
        )
    figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=[escape(name) for name in names], range=[len(names) - 0.4, -0.6]
    )
    return figure


def shares_figure(names: Sequence[str], patients_GS: NDArray[np.int64]) -> go.Figure:
    """A bar a site or camera, divided into the shares of the cohort splits."""
    totals = patients_GS.sum(axis=1)
    rows = [f"{escape(cut(name))}, n = {total:,}" for name, total in zip(names, totals, strict=True)]
    figure = empty_figure("share of its patients, %", height=110 + 30 * len(names))
    for index, split in enumerate(COHORT_SPLITS):
        figure.add_bar(
            x=100 * patients_GS[:, index] / np.maximum(totals, 1),
            y=rows,
            orientation="h",
            name=split,
            marker={"color": SPLIT_COLOURS[split]},
            customdata=patients_GS[:, index],
            hovertemplate=f"%{{y}}<br>{split}: %{{x:.1f}} %, %{{customdata:,}} patients<extra></extra>",
        )
    figure.update_layout(barmode="stack", legend={"traceorder": "normal"})
    figure.update_xaxes(range=[0, 100])
    figure.update_yaxes(categoryorder="array", categoryarray=rows[::-1], ticksuffix="  ", showgrid=False)
    return figure


def _add_bars(figure: go.Figure, index: int, found: Histogram, unit: str, fill: float = 1.0) -> None:
    row, column = place(index)
    lows, highs = found.edges[:-1], found.edges[1:]
    figure.add_bar(
        x=(lows + highs) / 2,
        y=found.counts,
        width=(highs - lows) * fill,
        marker={"color": ACCENT, "line": {"width": 0}},
        hovertemplate=f"%{{x:.4g}} {escape(unit)}: %{{y:,}}<extra></extra>",
        row=row,
        col=column,
    )


def _add_limits(
    figure: go.Figure,
    index: int,
    found: Histogram,
    limits: tuple[float | None, float | None],
    colour: str,
    far: float = 0.25,
) -> None:
    """Dashed lines at limits that are no further from the bars than `far` times their span."""
    row, column = place(index)
    low, high = float(found.edges[0]), float(found.edges[-1])
    margin = far * (high - low)
    shown = [limit for limit in limits if limit is not None and low - margin <= limit <= high + margin]
    for limit in shown:
        figure.add_vline(x=limit, line={"color": colour, "width": 1.5, "dash": "dash"}, row=row, col=column)  # pyright: ignore[reportArgumentType]  # plotly says "all" and takes numbers
    low, high = min([low, *shown]), max([high, *shown])
    figure.update_xaxes(range=[low - 0.04 * (high - low), high + 0.04 * (high - low)], row=row, col=column)


def _difference(entry: TaskCounts, split: int) -> tuple[float, float] | None:
    """Standardised difference from train and half its 95 % interval; None where there is nothing to compare."""
    train, num = int(entry.num_S[0]), int(entry.num_S[split])
    if not train or not num or not entry.deviation > 0:
        return None
    half = 1.96 * np.sqrt(1 / train + 1 / num)
    return float((entry.mean_S[split] - entry.mean_S[0]) / entry.deviation), float(half)


def _task_title(task: Task) -> str:
    unit = _unit_of(task)
    return cut(task.label) + (f", {cut(unit, 10)}" if unit else "")


def _unit_of(task: Task) -> str:
    return task.unit if task.kind == "regression" else ""
