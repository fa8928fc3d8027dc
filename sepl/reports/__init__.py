"""What every HTML report is made of: a page that needs nothing else, plots of one style, numbers of one form."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = [
    "Markup",
    "empty_figure",
    "figure",
    "matrix",
    "panels",
    "paragraph",
    "percent",
    "section",
    "short",
    "style",
    "value_range",
]

if TYPE_CHECKING:
    from sepl.reports.numbers import figure, percent, short, value_range
    from sepl.reports.page import Markup, paragraph, section
    from sepl.reports.plots import empty_figure, matrix, panels, style
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "numbers": ["figure", "percent", "short", "value_range"],
            "page": ["Markup", "paragraph", "section"],
            "plots": ["empty_figure", "matrix", "panels", "style"],
        },
    )
