"""The figures of the report of a preparation, as plotly figures."""

from collections.abc import Sequence
from html import escape

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from sepl.data.quality import Limits
from sepl.data.report_counts import Histogram, LabelCounts, TaskCounts
from sepl.data.splits import COHORT_SPLITS
from sepl.tasks import Task

INK, FAINT, GRID = "#1f2933", "#9aa5b1", "#e4e7eb"
ACCENT, SECOND, WARN = "#0b7285", "#e8590c", "#c92a2a"
SPLIT_COLOURS = {"train": "#9aa5b1", "validation": "#1c7ed6", "calibration": "#f59f00", "test": "#0b7285"}

_NUM_COLUMNS = 3
_PANEL_HEIGHT = 205
_SHORTEST = 28  # characters, at which a panel's title is cut
_MOST_WRITTEN = 20  # rows of a matrix whose cells still have room for a figure


def label_histograms(counts: LabelCounts) -> go.Figure:
    """A panel a task, with the plausible range where it is near the values."""
    titles = [_task_title(entry.task) for entry in counts.tasks]
    figure = _panels(titles, "patients")
    for index, entry in enumerate(counts.tasks):
        row, column = _place(index)
        if entry.task.kind == "binary":
            _add_bars(figure, index, entry.histogram, "", fill=0.5)
            figure.update_xaxes(tickvals=[0, 1], ticktext=["0", "1"], row=row, col=column)
            continue
        _add_bars(figure, index, entry.histogram, entry.task.unit)
        _add_limits(figure, index, entry.histogram, (entry.task.low, entry.task.high), FAINT)
    return figure


def quality_histograms(histograms: dict[str, Histogram], limits: dict[str, Limits]) -> go.Figure:
    """A panel a measure, with its limits; counts on a logarithmic scale, so that the few near a limit are seen."""
    figure = _panels([name.replace("_", " ") for name in histograms], "photographs")
    for index, (name, found) in enumerate(histograms.items()):
        _add_bars(figure, index, found, "")
        if name in limits:
            _add_limits(figure, index, found, (limits[name].low, limits[name].high), WARN, far=float("inf"))
    figure.update_yaxes(type="log", dtick=1, rangemode="tozero")
    return figure


def missingness_figure(counts: LabelCounts) -> go.Figure:
    """Share of photographs without a label: a row a task, a column a cohort split, site or camera."""
    figure = _matrix(
        np.array([entry.missing_G for entry in counts.tasks]) * 100,
        [f"{escape(_cut(column.name, 20))} ({column.num_photographs:,})" for column in counts.columns],
        [escape(_cut(entry.task.label)) for entry in counts.tasks],
        {"colorscale": [[0, "#f5f7fa"], [0.02, "#fff4e6"], [1, SECOND]], "zmin": 0, "zmax": 100},
        ".1f",
        "{row}, {column}: {value:.1f} % missing",
    )
    kinds = [column.kind for column in counts.columns]
    for place, kind in enumerate(kinds):
        if place and kind != kinds[place - 1]:
            figure.add_vline(x=place - 0.5, line={"color": INK, "width": 1.5})
            figure.add_annotation(
                x=place - 0.5, y=1, yref="paper", xanchor="left", yanchor="bottom", showarrow=False, text=kind
            )
    return figure


def correlation_figure(counts: LabelCounts) -> go.Figure:
    """Spearman's correlation of every two tasks."""
    names = [escape(_cut(entry.task.label)) for entry in counts.tasks]
    below = np.tril(np.ones_like(counts.correlation_TT, bool), -1)
    shown = np.where(below, counts.correlation_TT, np.nan)[1:, :-1]
    return _matrix(
        shown,
        names[:-1],
        names[1:],
        {"colorscale": [[0, SECOND], [0.5, "#ffffff"], [1, ACCENT]], "zmin": -1, "zmax": 1},
        ".2f",
        "{row} and {column}: {value:.2f}",
    )


def balance_figure(tasks: Sequence[TaskCounts]) -> go.Figure:
    """Difference of each cohort split's mean from train's, in standard deviations, with its 95 % interval."""
    figure = figure_of("difference from train, in standard deviations", height=120 + 34 * len(tasks))
    figure.add_vline(x=0, line={"color": FAINT, "width": 1})
    names = [_cut(entry.task.label) for entry in tasks]
    for place, split in enumerate(COHORT_SPLITS[1:]):
        index = COHORT_SPLITS.index(split)
        points = [(row, *found) for row, entry in enumerate(tasks) if (found := _difference(entry, index))]
        figure.add_scatter(
            x=[value for _, value, _ in points],
            y=[row + 0.22 * (place - 1) for row, _, _ in points],
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
    rows = [f"{escape(_cut(name))}, n = {total:,}" for name, total in zip(names, totals, strict=True)]
    figure = figure_of("share of its patients, %", height=110 + 30 * len(names))
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


def figure_of(x_title: str, height: int) -> go.Figure:
    """An empty figure in the report's style."""
    figure = go.Figure()
    _style(figure, height)
    figure.update_layout(legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0})
    figure.update_xaxes(title=x_title)
    return figure


def _style(figure: go.Figure, height: int) -> None:
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 20, "r": 20, "t": 36, "b": 46},
        font={"family": "system-ui, sans-serif", "size": 12, "color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"align": "left"},
    )
    figure.update_xaxes(gridcolor=GRID, zeroline=False, automargin=True)
    figure.update_yaxes(gridcolor=GRID, zeroline=False, automargin=True)


def _panels(titles: Sequence[str], counted: str) -> go.Figure:
    num_rows = -(-len(titles) // _NUM_COLUMNS)
    height = 60 + _PANEL_HEIGHT * num_rows
    figure = make_subplots(
        rows=num_rows,
        cols=_NUM_COLUMNS,
        subplot_titles=[escape(title) for title in titles],
        vertical_spacing=min(62 / height, 1 / max(num_rows - 1, 1)),
        horizontal_spacing=0.07,
    )
    _style(figure, height)
    figure.update_layout(showlegend=False, bargap=0.06)
    figure.update_yaxes(title=counted, col=1)
    figure.update_annotations(font={"size": 12.5, "color": INK})
    return figure


def _place(index: int) -> tuple[int, int]:
    return index // _NUM_COLUMNS + 1, index % _NUM_COLUMNS + 1


def _add_bars(figure: go.Figure, index: int, found: Histogram, unit: str, fill: float = 1.0) -> None:
    row, column = _place(index)
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
    row, column = _place(index)
    low, high = float(found.edges[0]), float(found.edges[-1])
    margin = far * (high - low)
    shown = [limit for limit in limits if limit is not None and low - margin <= limit <= high + margin]
    for limit in shown:
        figure.add_vline(x=limit, line={"color": colour, "width": 1.5, "dash": "dash"}, row=row, col=column)  # pyright: ignore[reportArgumentType]  # plotly says "all" and takes numbers
    low, high = min([low, *shown]), max([high, *shown])
    figure.update_xaxes(range=[low - 0.04 * (high - low), high + 0.04 * (high - low)], row=row, col=column)


def _matrix(
    values: NDArray[np.float64], columns: list[str], rows: list[str], colours: dict, form: str, hover: str
) -> go.Figure:
    figure = go.Figure()
    _style(figure, 150 + 26 * len(rows))
    values = np.round(values, int(form[1])) + 0.0  # "0.00", never "-0.00"
    texts = [[f"{value:{form}}" if np.isfinite(value) else "" for value in line] for line in values]
    hovers = [
        [hover.format(row=row, column=column, value=value) for column, value in zip(columns, line, strict=True)]
        for row, line in zip(rows, values, strict=True)
    ]
    figure.add_heatmap(
        z=values,
        x=list(range(len(columns))),
        y=list(range(len(rows))),
        text=texts,
        texttemplate="%{text}" if len(columns) <= _MOST_WRITTEN else None,
        textfont={"size": 11, "color": INK},
        hovertext=hovers,
        hoverinfo="text",
        hoverongaps=False,
        showscale=False,
        xgap=1,
        ygap=1,
        **colours,
    )
    figure.update_xaxes(tickvals=list(range(len(columns))), ticktext=columns, tickangle=-40, showgrid=False)
    figure.update_yaxes(tickvals=list(range(len(rows))), ticktext=rows, autorange="reversed", showgrid=False)
    return figure


def _difference(entry: TaskCounts, split: int) -> tuple[float, float] | None:
    """Standardised difference from train and half its 95 % interval; None where there is nothing to compare."""
    train, num = int(entry.num_S[0]), int(entry.num_S[split])
    if not train or not num or not entry.deviation > 0:
        return None
    half = 1.96 * np.sqrt(1 / train + 1 / num)
    return float((entry.mean_S[split] - entry.mean_S[0]) / entry.deviation), float(half)


def _task_title(task: Task) -> str:
    unit = _unit_of(task)
    return _cut(task.label) + (f", {_cut(unit, 10)}" if unit else "")


def _unit_of(task: Task) -> str:
    return "" if task.kind == "binary" else task.unit


def _cut(text: str, most: int = _SHORTEST) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
