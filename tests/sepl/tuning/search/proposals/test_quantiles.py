"""Quantiles of planted noise."""

import numpy as np
import pytest

from sepl.tuning.search.proposals.quantiles import LEVELS, ConformalQuantiles


@pytest.fixture(scope="module")
def examples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features_NF = rng.random((400, 3))
    return features_NF, np.where(features_NF[:, 0] > 0.5, 2.0, 0.0) + rng.normal(0.0, 0.3, 400)


def test_they_rise_from_level_to_level_and_follow_what_matters(examples: tuple[np.ndarray, np.ndarray]) -> None:
    fitted = ConformalQuantiles.fit(*examples, seed=0)

    quantiles_NQ = fitted.predict(np.array([[0.1, 0.5, 0.5], [0.9, 0.5, 0.5]]))

    assert quantiles_NQ.shape == (2, len(LEVELS))
    assert (np.diff(quantiles_NQ, axis=1) >= 0).all()
    assert (quantiles_NQ[1] - quantiles_NQ[0] > 1.0).all()


def test_an_interval_covers_new_examples_as_often_as_it_says(examples: tuple[np.ndarray, np.ndarray]) -> None:
    features_NF, values_N = examples
    fitted = ConformalQuantiles.fit(features_NF[:200], values_N[:200], seed=0)

    quantiles_NQ = fitted.predict(features_NF[200:])

    covered = (quantiles_NQ[:, 0] <= values_N[200:]) & (values_N[200:] <= quantiles_NQ[:, -1])
    assert covered.mean() >= LEVELS[-1] - LEVELS[0] - 0.1


def test_the_order_of_the_examples_does_not_matter(examples: tuple[np.ndarray, np.ndarray]) -> None:
    features_NF, values_N = examples[0][:60], examples[1][:60]
    order = np.random.default_rng(1).permutation(60)

    first = ConformalQuantiles.fit(features_NF, values_N, seed=0).predict(features_NF)
    second = ConformalQuantiles.fit(features_NF[order], values_N[order], seed=0).predict(features_NF)

    np.testing.assert_array_equal(first, second)
