"""How far fine-tuning agrees with the probe: a rank correlation over a study's full trials, a backbone at a time.

A trial's own head is trained on the features of its backbone as the probe's heads were, and what it comes to is held
against what the trial came to. Below `LEAST_CORRELATION`, once there are `LEAST_TRIALS`, the probe is no longer heard.

Axes: N trial, R resample.
"""

import numpy as np
from numpy.typing import NDArray

from sepl.metrics.bootstrap import Estimate, estimate
from sepl.tuning.probe.record import Agreement

Floats = NDArray[np.float64]

LEAST_CORRELATION = 0.3
LEAST_TRIALS = 10
_NUM_RESAMPLES = 1000


def agreement_of(probed_N: Floats, tuned_N: Floats) -> Agreement:
    """Of trials' skills on frozen features and fine-tuned; those without one of the two are left out."""
    both_N = np.isfinite(probed_N) & np.isfinite(tuned_N)
    correlation = rank_correlation(probed_N[both_N], tuned_N[both_N])
    num_trials = int(both_N.sum())
    is_low = correlation.value is not None and correlation.value < LEAST_CORRELATION
    return Agreement(
        num_trials=num_trials, correlation=correlation, is_heard=not (is_low and num_trials >= LEAST_TRIALS)
    )


def rank_correlation(one_N: Floats, other_N: Floats, seed: int = 0) -> Estimate:
    """Spearman's, with the 95 % percentile interval over resamples of the trials; None of fewer than three, or where
    one side is all the same."""
    if len(one_N) < 3:
        return Estimate(value=None, low=None, high=None)
    draws_RN = np.random.default_rng(seed).integers(0, len(one_N), (_NUM_RESAMPLES, len(one_N)))
    rows = [np.arange(len(one_N)), *draws_RN]
    return estimate(np.array([_spearman(one_N[rows_N], other_N[rows_N]) for rows_N in rows]))


def _spearman(one_N: Floats, other_N: Floats) -> float:
    one_N, other_N = _ranks(one_N), _ranks(other_N)
    if np.ptp(one_N) == 0 or np.ptp(other_N) == 0:
        return np.nan
    return float(np.corrcoef(one_N, other_N)[0, 1])


def _ranks(values_N: Floats) -> Floats:
    """Equal values share the mean of their ranks."""
    _, inverse_N, counts = np.unique(values_N, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse_N]
