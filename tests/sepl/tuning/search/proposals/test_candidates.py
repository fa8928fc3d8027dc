"""Candidates of spaces with conditions."""

from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from sepl.tuning.search.proposals.axes import Axes
from sepl.tuning.search.proposals.candidates import draw_candidates

DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "branch": CategoricalDistribution(["plain", "wide", "deep", "unseen"]),
    "depth": FloatDistribution(0.0, 1.0),
    "rate": FloatDistribution(1e-3, 1.0, log=True),
}
SEEN: list[dict[str, Any]] = [
    {"branch": "plain", "rate": 0.1},
    {"branch": "wide", "rate": 0.01},
    {"branch": "deep", "rate": 0.1, "depth": 0.5},
]


def candidates() -> list[dict[str, Any]]:
    axes = Axes(DISTRIBUTIONS)
    seen_NP = axes.codes(SEEN)
    return [axes.params(row) for row in draw_candidates(axes, seen_NP, seen_NP[1:], np.random.default_rng(0), 200)]


def test_candidates_have_the_shapes_that_trials_had() -> None:
    assert {frozenset(params) for params in candidates()} == {frozenset(params) for params in SEEN}


def test_a_choice_is_not_drawn_with_a_shape_that_it_was_never_seen_with() -> None:
    of_depth = {params["branch"] for params in candidates() if "depth" in params}
    others = {params["branch"] for params in candidates() if "depth" not in params}

    assert of_depth == {"deep", "unseen"}
    assert others == {"plain", "wide", "unseen"}


def test_half_of_them_are_near_good_trials() -> None:
    rates = np.log10([params["rate"] for params in candidates() if "depth" not in params])

    assert (np.abs(rates + 2.0) < 0.5).mean() > 0.3  # evenly drawn ones: a third of three decades, and no more
