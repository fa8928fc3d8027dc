"""Candidates of spaces with conditions."""

from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from sepl.tuning.search.proposals.axes import Axes
from sepl.tuning.search.proposals.candidates import drawn_evenly, near_good

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


AXES = Axes(DISTRIBUTIONS)
SEEN_NP = AXES.codes(SEEN)


def candidates() -> list[dict[str, Any]]:
    """Of both kinds."""
    rng = np.random.default_rng(0)
    drawn_CP = drawn_evenly(AXES, SEEN_NP, rng, 200), near_good(AXES, SEEN_NP, SEEN_NP[1:], rng, 200)
    return [AXES.params(row) for row in np.concatenate(drawn_CP)]


def test_candidates_have_the_shapes_that_trials_had() -> None:
    assert {frozenset(params) for params in candidates()} == {frozenset(params) for params in SEEN}


def test_a_choice_is_not_drawn_with_a_shape_that_it_was_never_seen_with() -> None:
    of_depth = {params["branch"] for params in candidates() if "depth" in params}
    others = {params["branch"] for params in candidates() if "depth" not in params}

    assert of_depth == {"deep", "unseen"}
    assert others == {"plain", "wide", "unseen"}


def test_those_near_good_trials_are_near_them() -> None:
    near_CP = near_good(AXES, SEEN_NP, SEEN_NP[1:2], np.random.default_rng(0), 200)
    even_CP = drawn_evenly(AXES, SEEN_NP, np.random.default_rng(0), 200)

    assert np.median(AXES.distances(near_CP, SEEN_NP[1:2])) < 0.05
    assert np.median(AXES.distances(even_CP, SEEN_NP[1:2])) > 0.2
