"""How well the skill at an early epoch ranks trials as their last one does: what a rung there is worth.

Estimated from the trials that ran to their end. A scheduler has let through the better ones, among which order is
harder to tell, so that the estimate is on the low side and the first rung later rather than too early.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.5
"""Kendall's tau from which an epoch may decide: three of four pairs are in the order that they end in."""
LEAST_TRIALS = 8
"""Ended trials before there is an estimate: with fewer its interval is most of −1 … 1."""
_NUM_RESAMPLES = 200

Curve = Mapping[int, float]
"""Skill by epoch."""


@dataclass(frozen=True)
class RungReliability:
    """Kendall's tau-b between the skill at an epoch and at the end, with its 95 % bootstrap interval over trials."""

    epoch: int
    num_trials: int
    tau: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.tau:.2f} ({self.low:.2f} … {self.high:.2f})"


def rung_reliability(curves: Sequence[Curve], epochs: Sequence[int]) -> list[RungReliability]:
    """Of each of these epochs, from `curves` of trials that ran to their end; empty below `LEAST_TRIALS` of them."""
    if len(curves) < LEAST_TRIALS:
        return []
    draws = np.random.default_rng(0).integers(len(curves), size=(_NUM_RESAMPLES, len(curves)))
    ends = _signs(_ends(curves))
    return [_reliability(epoch, _signs(_skills_at(curves, epoch)), ends, draws) for epoch in epochs]


def first_reliable_epoch(curves: Sequence[Curve], *, least: int, most: int) -> int | None:
    """The earliest epoch from `least` to `most` at which tau reaches `THRESHOLD`, `most` when none does.

    None below `LEAST_TRIALS` curves.
    """
    if len(curves) < LEAST_TRIALS:
        return None
    ends = _signs(_ends(curves))
    for epoch in range(least, most):
        if _tau(_signs(_skills_at(curves, epoch)), ends) >= THRESHOLD:
            return epoch
    return max(least, most)


def _reliability(
    epoch: int, at_rung: NDArray[np.float64], ends: NDArray[np.float64], draws: NDArray[np.int64]
) -> RungReliability:
    taus = [_tau(at_rung[np.ix_(draw, draw)], ends[np.ix_(draw, draw)]) for draw in draws]
    low, high = np.percentile(taus, [2.5, 97.5])
    return RungReliability(epoch, len(ends), _tau(at_rung, ends), float(low), float(high))


def _signs(skills_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, N): which of two trials is better."""
    return np.sign(skills_N[:, None] - skills_N[None, :])


def _tau(one_NN: NDArray[np.float64], other_NN: NDArray[np.float64]) -> float:
    """Kendall 1945; 0 where all are equal, which ranks nothing."""
    untied = np.sqrt(np.abs(one_NN).sum() * np.abs(other_NN).sum())
    return float((one_NN * other_NN).sum() / untied) if untied else 0.0


def _ends(curves: Sequence[Curve]) -> NDArray[np.float64]:
    return np.array([curve[max(curve)] for curve in curves])


def _skills_at(curves: Sequence[Curve], epoch: int) -> NDArray[np.float64]:
    """Of a trial that ended itself before, its last."""
    return np.array([curve[max((step for step in curve if step <= epoch), default=min(curve))] for curve in curves])
