"""Plotly figures of one style: the palette, an empty figure, panels, a matrix of numbers."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

INK, FAINT, GRID, PAPER = "#1f2933", "#9aa5b1", "#e4e7eb", "#f5f7fa"
ACCENT, SECOND, WARN = "#0b7285", "#e8590c", "#c92a2a"
FROM_NOTHING = [[0, PAPER], [0.02, "#fff4e6"], [1, SECOND]]
"""A colour scale of shares: what is above nothing is seen."""
AROUND_ZERO = [[0, SECOND], [0.5, "#ffffff"], [1, ACCENT]]
"""A colour scale of what may be below zero."""

NUM_COLUMNS = 3
"""Panels beside each other."""
_PANEL_HEIGHT = 205
_LONGEST = 28  # characters, at which a panel's title is cut
_MOST_WRITTEN = 20  # columns of a matrix whose cells still have room for a number


def empty_figure(x_title: str = "", y_title: str = "", height: int = 380) -> go.Figure:
    """A figure to add traces to, its legend above it. `height` in pixels."""
    drawing = go.Figure()
    style(drawing, height)
    drawing.update_layout(legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})
    drawing.update_xaxes(title=x_title)
    drawing.update_yaxes(title=y_title)
    return drawing


def style(drawing: go.Figure, height: int) -> None:
    """Fonts, colours and margins of every report, on a figure that was made otherwise."""
    drawing.update_layout(
        template="none",
        height=height,
        margin={"l": 20, "r": 30, "t": 36, "b": 46},
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"align": "left"},
    )
    drawing.update_xaxes(gridcolor=GRID, zeroline=False, automargin=True)
    drawing.update_yaxes(gridcolor=GRID, zeroline=False, automargin=True)


def panels(titles: Sequence[str], y_title: str) -> go.Figure:
    """A small figure for each title, three beside each other; `place` says which is where."""
    num_rows = -(-len(titles) // NUM_COLUMNS)
    height = 60 + _PANEL_HEIGHT * num_rows
    drawing = make_subplots(
        rows=num_rows,
        cols=NUM_COLUMNS,
        subplot_titles=[escape(title) for title in titles],
        vertical_spacing=min(62 / height, 1 / max(num_rows - 1, 1)),
        horizontal_spacing=0.07,
    )
    style(drawing, height)
    drawing.update_layout(showlegend=False, bargap=0.06)
    drawing.update_yaxes(title=y_title, col=1)
    drawing.update_annotations(font={"size": 12.5, "color": INK})
    return drawing


def place(index: int) -> tuple[int, int]:
    """Row and column of a panel, as plotly counts them."""
    return index // NUM_COLUMNS + 1, index % NUM_COLUMNS + 1


def matrix(
    values: NDArray[np.float64],
    columns: Sequence[str],
    rows: Sequence[str],
    colours: dict[str, Any],
    *,
    decimals: int,
    hover: str,
) -> go.Figure:
    """A heat map (rows × columns) with its numbers written where there is room.

    `columns` and `rows` are HTML; `colours` plotly's colorscale, zmin and zmax; `hover` a format of {row}, {column}
    and {value}.
    """
    drawing = go.Figure()
    style(drawing, 150 + 26 * len(rows))
    values = np.round(values, decimals) + 0.0  # "0.00", never "-0.00"
    texts = [[f"{value:.{decimals}f}" if np.isfinite(value) else "" for value in line] for line in values]
    hovers = [
        [hover.format(row=row, column=column, value=value) for column, value in zip(columns, line, strict=True)]
        for row, line in zip(rows, values, strict=True)
    ]
    drawing.add_heatmap(
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
    drawing.update_xaxes(tickvals=list(range(len(columns))), ticktext=list(columns), tickangle=-40, showgrid=False)
    drawing.update_yaxes(tickvals=list(range(len(rows))), ticktext=list(rows), autorange="reversed", showgrid=False)
    return drawing


def cut(text: str, most: int = _LONGEST) -> str:
    """A title that fits: its end gives way to an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
