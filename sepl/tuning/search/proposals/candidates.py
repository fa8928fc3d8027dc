"""Configurations to choose among: drawn evenly from the space, and near the best trials so far.

A space is a program that asks, so which hyperparameters go together is only seen from trials: those of one trial are a
shape, and a candidate has the shape of a trial. A choice that was seen with other shapes alone is not drawn with this
one, such as "no propagation" with a hyperparameter of the propagation.

Axes: C candidate, N trial, P hyperparameter.
"""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from sepl.tuning.search.proposals.axes import Axes, Floats

_WIDTHS = (0.02, 0.07, 0.2)
"""Of the neighbourhoods of good trials, drawn among for each candidate."""


def drawn_evenly(axes: Axes, seen_NP: Floats, rng: Generator, number: int) -> Floats:
    """(C, P), NaN where a hyperparameter is not asked, from the whole space, as far as trials have seen its shapes."""
    shapes_CP = ~np.isnan(seen_NP[rng.integers(len(seen_NP), size=number)])
    columns = [
        np.where(asked_C, axis.draw(rng, number), np.nan) for axis, asked_C in zip(axes, shapes_CP.T, strict=True)
    ]
    return _as_seen(axes, np.stack(columns, axis=1), seen_NP, rng)


def near_good(axes: Axes, seen_NP: Floats, good_NP: Floats, rng: Generator, number: int) -> Floats:
    """(C, P), around `good_NP`, some of the trials `seen_NP`."""
    around_CP = good_NP[rng.integers(len(good_NP), size=number)]
    return _as_seen(axes, _near(axes, around_CP, rng), seen_NP, rng)


def _near(axes: Axes, around_CP: Floats, rng: Generator) -> Floats:
    near_CP = np.empty_like(around_CP)
    width_C = rng.choice(_WIDTHS, len(around_CP))
    for width in _WIDTHS:
        rows = width_C == width
        columns = [axis.near(codes, rng, width) for axis, codes in zip(axes, around_CP[rows].T, strict=True)]
        near_CP[rows] = np.stack(columns, axis=1)
    return np.where(np.isnan(around_CP), np.nan, near_CP)


def _as_seen(axes: Axes, candidates_CP: Floats, seen_NP: Floats, rng: Generator) -> Floats:
    """Choices that belong to other shapes are drawn again among those of the candidate's."""
    shapes_NP, shapes_CP = ~np.isnan(seen_NP), ~np.isnan(candidates_CP)
    for shape_P in np.unique(shapes_NP, axis=0):
        rows = np.flatnonzero((shapes_CP == shape_P).all(axis=1))
        own = (shapes_NP == shape_P).all(axis=1)
        for column, axis in enumerate(axes):
            if axis.num_choices and shape_P[column]:
                allowed = _allowed(axis.num_choices, seen_NP[:, column], own)
                wrong = rows[~np.isin(candidates_CP[rows, column], allowed)]
                candidates_CP[wrong, column] = rng.choice(allowed, len(wrong))
    return candidates_CP


def _allowed(num_choices: int, choice_N: Floats, own_N: NDArray[np.bool_]) -> Sequence[int]:
    """Choices that were seen with this shape, or with none yet."""
    here, anywhere = set(choice_N[own_N]), set(choice_N[~np.isnan(choice_N)])
    return [choice for choice in range(num_choices) if choice in here or choice not in anywhere]
