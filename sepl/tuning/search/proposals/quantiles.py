"""Quantiles of an unknown value by gradient boosting, made honest by conformal prediction (Romano et al., 2019).

Axes: N example, F feature, Q quantile.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVELS = (0.1, 0.5, 0.9)
"""The lowest and the highest are an interval together; the median is left as it is."""
_LEAST_TO_CALIBRATE = 50
"""Examples, below which none can be spared to see how far the quantiles are off."""
_SHARE_TO_CALIBRATE = 0.15
_TREES: dict[str, Any] = {
    "n_estimators": 25,
    "learning_rate": 0.2,
    "max_depth": 2,
    "max_features": 0.5,  # deeper or greedier trees know too well what little they have seen
    "subsample": 0.7,
}


@dataclass(frozen=True)
class ConformalQuantiles:
    """Fitted."""

    models: tuple[Any, ...]
    """Of scikit-learn, one a level."""
    shifts_Q: Floats
    """By which the intervals were too narrow (or, below 0, too wide) on examples that the models have not seen."""

    @classmethod
    def fit(cls, features_NF: Floats, values_N: Floats, seed: int) -> Self:
        """The order of the examples does not matter."""
        order = np.lexsort((values_N, *features_NF.T))
        features_NF, values_N = features_NF[order], values_N[order]
        held_N = _held_out(len(values_N), seed)
        models = tuple(_fit(level, features_NF[~held_N], values_N[~held_N], seed) for level in LEVELS)
        shifts_Q = np.zeros(len(LEVELS))
        if held_N.any():
            quantiles_NQ = _predict(models, features_NF[held_N])
            short_N = np.maximum(quantiles_NQ[:, 0] - values_N[held_N], values_N[held_N] - quantiles_NQ[:, -1])
            shift = _conformal(short_N, LEVELS[-1] - LEVELS[0])
            shifts_Q[[0, -1]] = -shift, shift
        return cls(models, shifts_Q)

    def predict(self, features_NF: Floats) -> Floats:
        """(N, Q), rising from level to level."""
        return np.sort(_predict(self.models, features_NF) + self.shifts_Q, axis=1)

    def draw(self, features_NF: Floats, rng: Generator) -> Floats:
        """(N,), of each example a quantile of a level drawn evenly between the lowest and the highest."""
        quantiles_NQ = self.predict(features_NF)
        level_N = rng.uniform(LEVELS[0], LEVELS[-1], len(features_NF))
        pairs = zip(level_N, quantiles_NQ, strict=True)
        return np.array([np.interp(level, LEVELS, quantiles_Q) for level, quantiles_Q in pairs])


def _held_out(num_examples: int, seed: int) -> NDArray[np.bool_]:
    held_N = np.zeros(num_examples, bool)
    if num_examples >= _LEAST_TO_CALIBRATE:
        number = round(_SHARE_TO_CALIBRATE * num_examples)
        held_N[np.random.default_rng([seed, num_examples]).permutation(num_examples)[:number]] = True
    return held_N


def _conformal(short_N: Floats, coverage: float) -> float:
    """The smallest shift with which the interval covers so many of a next example too."""
    place = int(np.ceil(coverage * (len(short_N) + 1))) - 1
    return float(np.sort(short_N)[min(place, len(short_N) - 1)])


def _fit(level: float, features_NF: Floats, values_N: Floats, seed: int) -> Any:
    from sklearn.ensemble import GradientBoostingRegressor  # a second, which other samplers do without

    model = GradientBoostingRegressor(loss="quantile", alpha=level, random_state=seed, **_TREES)
    return model.fit(features_NF, values_N)


def _predict(models: tuple[Any, ...], features_NF: Floats) -> Floats:
    return np.stack([model.predict(features_NF) for model in models], axis=1)
