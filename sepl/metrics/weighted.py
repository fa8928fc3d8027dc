"""Arithmetic that weighted measures share: P patients, B resamples."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def weighted_mean(values_P: Floats, weights_BP: Floats) -> Floats:
    """(B,) NaN where all weights are zero."""
    total_B = weights_BP.sum(axis=1)
    return weights_BP @ values_P / nan_where(total_B == 0, total_B)


def nan_where(condition: NDArray[np.bool_], values: Floats) -> Floats:
    """The values, NaN where the condition holds."""
    return np.where(condition, np.nan, values)
