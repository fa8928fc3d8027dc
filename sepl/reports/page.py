"""A page of HTML that needs nothing else: plotly's script, pictures and style are inside.

Whatever is not HTML made here is escaped by the templates.
"""

import base64
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs


def page(title: str, subtitle: str, sections: Iterable[Markup], *, refresh_seconds: int | None = None) -> str:
    """The whole page; one that is about something under way reads itself anew."""
    template = _templates().get_template("page.html.j2")
    return template.render(
        title=title,
        subtitle=subtitle,
        plotly=_trusted(get_plotlyjs()),
        sections=list(sections),
        refresh_seconds=refresh_seconds,
    )


def section(title: str, *parts: Markup, note: str = "") -> Markup:
    """A heading, a few words on how to read it, and what they are about."""
    return _part("section", title, note, parts)


def subheading(text: str) -> Markup:
    return _part("subheading", text)


def paragraph(text: str) -> Markup:
    return _part("paragraph", text)


def code(text: str) -> Markup:
    """A command or a file's text, kept as it is."""
    return _part("code", text)


def tiles(entries: Iterable[tuple[str, str, str]]) -> Markup:
    """A row of figures: name, value, note."""
    return _part("tiles", list(entries))


def table(heading: Sequence[str], rows: Iterable[Sequence[str]], num_text_columns: int = 1) -> Markup:
    """The first columns hold text, to the left; the others numbers, to the right. A wide one scrolls by itself.

    On a page a click on a heading sorts by its column, a second one the other way round.
    """
    return _part("table", heading, list(rows), num_text_columns)


def plot(figure: go.Figure, name: str) -> Markup:
    """`name` is the element's id, so that the same figures give the same bytes."""
    return _trusted(
        figure.to_html(
            full_html=False,
            include_plotlyjs=False,
            div_id=name,
            config={"displaylogo": False, "responsive": True, "displayModeBar": False},
        )
    )


def picture(jpeg: bytes, description: str, style: str) -> Markup:
    """`style` is "thumbnail" or "sheet"."""
    return _part("picture", base64.b64encode(jpeg).decode(), description, style)


def strip(pictures: Iterable[Markup]) -> Markup:
    """Pictures beside each other."""
    return _part("strip", list(pictures))


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("sepl.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _part(name: str, *values: object) -> Markup:
    macros: Any = _templates().get_template("parts.html.j2").module
    return getattr(macros, name)(*values)


def _trusted(text: str) -> Markup:
    return Markup(text)  # noqa: S704 - plotly's own script and figures, whose texts its callers escape
