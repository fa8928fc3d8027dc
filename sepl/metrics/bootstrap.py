"""Resamples of patients, and what they say of a figure.

P patients · B the sample itself, then its resamples
"""

import numpy as np
from numpy.typing import NDArray

from sepl.settings import Settings

Floats = NDArray[np.float64]

CONFIDENCE = 0.95


class Estimate(Settings):
    """A figure with its 95 % patient-bootstrap percentile interval; None where it is not defined."""

    value: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.value is None:
            return "n/a"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def resample_patients(num_patients: int, num_bootstrap: int, seed: int) -> Floats:
    """(B, P) how often each patient is drawn: once each in row 0, then `num_bootstrap` resamples (Efron 1979)."""
    shares_P = np.full(num_patients, 1 / num_patients)
    draws_BP = np.random.default_rng(seed).multinomial(num_patients, shares_P, num_bootstrap).astype(np.float64)
    return np.vstack([np.ones(num_patients), draws_BP])


def estimate(figures_B: Floats) -> Estimate:
    """The sample's own figure, in row 0, with the percentiles of its resamples; those not defined are left out."""
    if not np.isfinite(figures_B[0]):
        return Estimate(value=None, low=None, high=None)
    resamples = figures_B[np.isfinite(figures_B)]
    low, high = np.quantile(resamples, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(value=float(figures_B[0]), low=float(low), high=float(high))


def median_of_present(values_P: Floats) -> float:
    """Of the values that are not NaN; 0 where there is none."""
    present = values_P[np.isfinite(values_P)]
    return float(np.median(present)) if len(present) else 0.0


def mean_estimate(skills_BT: Floats) -> Estimate:
    """Mean over the tasks whose skill is defined on the sample itself."""
    defined_BT = skills_BT[:, np.isfinite(skills_BT[0])]
    if defined_BT.shape[1] == 0:
        return Estimate(value=None, low=None, high=None)
    present_BT = np.isfinite(defined_BT)
    sums_B = np.where(present_BT, defined_BT, 0.0).sum(axis=1)
    counts_B = present_BT.sum(axis=1)
    return estimate(sums_B / np.where(counts_B == 0, np.nan, counts_B))
