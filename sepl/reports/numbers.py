"""How a number is written in a report or a table."""

from typing import Any

ABSENT = "–"


def figure(value: float | None) -> str:
    """A measure: three decimals, one above ten; a dash where there is none."""
    if value is None:
        return ABSENT
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def percent(part: int, whole: int) -> str:
    """The share of a count; a dash of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else ABSENT


def short(value: float) -> str:
    """Three significant digits; whole and grouped above a thousand."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def value_range(low: float | None, high: float | None) -> str:
    """Plausible values in words; None is open."""
    if low is None and high is None:
        return "any"
    if low is None:
        return f"to {high:g}"
    return f"from {low:g}" if high is None else f"{low:g} to {high:g}"


def param(value: Any) -> str:
    """A hyperparameter; a dash where the trial was not asked."""
    if value is None:
        return ABSENT
    return f"{value:.3g}" if isinstance(value, float) else str(value)
