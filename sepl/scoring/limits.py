"""How far a given value may be from the predicted one before it is taken for a wrong patient's, or in a wrong unit.

P patients · T tasks
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MAX_DEVIATIONS = 4.0
"""A value further off, in standard deviations of the residual, is not believed, unless true ones are as far off too."""
_TRUE_IGNORED = 1 / 400  # half of what is promised: the tail is estimated from few patients
_TAIL_SHARE, _MOST_TAIL_INDEX = 0.1, 0.5


def believable_limits(residuals_PT: Floats, means_T: Floats, deviations_T: Floats) -> tuple[float, ...]:
    """How far from the output, less the mean residual, a known value may be and be believed (T,), in scaled units.

    `MAX_DEVIATIONS`, or the residual that one patient in 400 exceeds where that is further, as of triglycerides, which
    are about lognormal: extrapolated by Weissman (1978) from the tenth of the patients who are furthest off, with the
    tail index of Hill (1975), at most ½, so that one wrong label does not end the check.

    Args:
        residuals_PT: label − output, NaN where absent.
        means_T, deviations_T: of the residuals, winsorised; where a deviation is 0 so is the limit, which means none.
    """
    far_T = [_far_quantile(np.abs(column_P - mean)) for column_P, mean in zip(residuals_PT.T, means_T, strict=True)]
    return tuple(np.where(deviations_T > 0, np.maximum(MAX_DEVIATIONS * deviations_T, far_T), 0.0).tolist())


def _far_quantile(sizes_P: Floats) -> float:
    """Of residuals' sizes, NaN where absent; 0 where they have no tail to go by."""
    sizes_P = np.sort(sizes_P[np.isfinite(sizes_P)])[::-1]
    num_far = max(5, math.ceil(_TAIL_SHARE * len(sizes_P)))
    if len(sizes_P) <= num_far or sizes_P[num_far] <= 0:
        return 0.0
    index = min(float(np.log(sizes_P[:num_far] / sizes_P[num_far]).mean()), _MOST_TAIL_INDEX)
    return float(sizes_P[num_far] * (num_far / (len(sizes_P) * _TRUE_IGNORED)) ** index)
