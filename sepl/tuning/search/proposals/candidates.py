"""Configurations to choose among: drawn evenly from the space, or near the best trials so far.

A space is a program that asks, so which hyperparameters go together is only seen from trials: those of one trial are a
shape, and a candidate has the shape of a trial. A choice that was seen with other shapes alone does not go with this
one, such as "no propagation" with a hyperparameter of the propagation: where the space is drawn from evenly another is
drawn, and where a good trial is varied the candidate takes a shape that goes with the choice.

Axes: C candidate, N trial, P hyperparameter.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from sepl.tuning.search.proposals.axes import Axes, Floats

_WIDTHS = (0.02, 0.07, 0.2)
"""Of the neighbourhoods of good trials, drawn among for each candidate."""


def drawn_evenly(axes: Axes, seen_NP: Floats, rng: Generator, number: int) -> Floats:
    """(C, P), NaN where a hyperparameter is not asked. Every shape is drawn alike, so that none is lost sight of."""
    shapes_SP = np.unique(~np.isnan(seen_NP), axis=0)
    shapes_CP = shapes_SP[rng.integers(len(shapes_SP), size=number)]
    return _as_seen(axes, _draw(axes, shapes_CP, rng), seen_NP, rng)


def near_good(axes: Axes, seen_NP: Floats, good_NP: Floats, rng: Generator, number: int) -> Floats:
    """(C, P), around `good_NP`, some of the trials `seen_NP`."""
    near_CP = _near(axes, good_NP[rng.integers(len(good_NP), size=number)], rng)
    _reshape(axes, near_CP, seen_NP, rng)
    return _as_seen(axes, near_CP, seen_NP, rng)


def _draw(axes: Axes, shapes_CP: NDArray[np.bool_], rng: Generator) -> Floats:
    columns = [
        np.where(asked_C, axis.draw(rng, len(asked_C)), np.nan) for axis, asked_C in zip(axes, shapes_CP.T, strict=True)
    ]
    return np.stack(columns, axis=1)


def _near(axes: Axes, around_CP: Floats, rng: Generator) -> Floats:
    near_CP = np.empty_like(around_CP)
    width_C = rng.choice(_WIDTHS, len(around_CP))
    for width in _WIDTHS:
        rows = width_C == width
        columns = [axis.near(codes, rng, width) for axis, codes in zip(axes, around_CP[rows].T, strict=True)]
        near_CP[rows] = np.stack(columns, axis=1)
    return np.where(np.isnan(around_CP), np.nan, near_CP)


def _reshape(axes: Axes, candidates_CP: Floats, seen_NP: Floats, rng: Generator) -> None:
    """Where a choice belongs to other shapes, the candidate takes one of theirs; what it lacks there is drawn."""
    for rows, column, _ in list(_wrong_choices(axes, candidates_CP, seen_NP)):
        for row in rows:
            with_choice = np.flatnonzero(seen_NP[:, column] == candidates_CP[row, column])
            if not len(with_choice):  # dropped since, with another choice
                continue
            shape_P = ~np.isnan(seen_NP[rng.choice(with_choice)])
            filled_P = np.where(np.isnan(candidates_CP[row]), _draw(axes, shape_P[None], rng)[0], candidates_CP[row])
            candidates_CP[row] = np.where(shape_P, filled_P, np.nan)


def _as_seen(axes: Axes, candidates_CP: Floats, seen_NP: Floats, rng: Generator) -> Floats:
    """Choices that belong to other shapes are drawn again among those of the candidate's."""
    for rows, column, allowed in _wrong_choices(axes, candidates_CP, seen_NP):
        candidates_CP[rows, column] = rng.choice(allowed, len(rows))
    return candidates_CP


def _wrong_choices(
    axes: Axes, candidates_CP: Floats, seen_NP: Floats
) -> Iterator[tuple[NDArray[np.int64], int, Sequence[int]]]:
    """Rows whose choice in a column does not go with their shape, the column, and what does."""
    shapes_NP, shapes_CP = ~np.isnan(seen_NP), ~np.isnan(candidates_CP)
    for shape_P in np.unique(shapes_NP, axis=0):
        rows = np.flatnonzero((shapes_CP == shape_P).all(axis=1))
        own = (shapes_NP == shape_P).all(axis=1)
        for column, axis in enumerate(axes):
            if len(rows) and axis.num_choices and shape_P[column]:
                allowed = _allowed(axis.num_choices, seen_NP[:, column], own)
                yield rows[~np.isin(candidates_CP[rows, column], allowed)], column, allowed


def _allowed(num_choices: int, choice_N: Floats, own_N: NDArray[np.bool_]) -> Sequence[int]:
    """Choices that were seen with this shape, or with none yet."""
    here, anywhere = set(choice_N[own_N]), set(choice_N[~np.isnan(choice_N)])
    return [choice for choice in range(num_choices) if choice in here or choice not in anywhere]
