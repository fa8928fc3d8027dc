"""How well the skill at an early epoch ranks trials as a late one does: what a rung there is worth.

The late one is the end, or as far as `LEAST_TRIALS` trials have come, if that is a third of the way. A scheduler has
let through the better ones, among which order is harder to tell, so that the estimate is on the low side and the first
rung later rather than too early.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sepl.tuning.search.schedulers.rungs import REDUCTION_FACTOR

THRESHOLD = 0.5
"""Kendall's tau from which an epoch may decide: three of four pairs are in the order that they end in."""
LEAST_TRIALS = 8
"""Trials that there is an estimate of: with fewer its interval is most of −1 … 1."""
_MOST_TRIALS = 100
"""The last to come; more would not narrow the interval by much, and cost by their square."""
_NUM_RESAMPLES = 200

Curve = Mapping[int, float]
"""Skill by epoch."""


@dataclass(frozen=True)
class RungReliability:
    """Kendall's tau-b between the skill at `epoch` and at `reference`, with its 95 % bootstrap interval over trials."""

    epoch: int
    reference: int
    num_trials: int
    tau: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.tau:.2f} ({self.low:.2f} … {self.high:.2f})"


def rung_reliability(curves: Sequence[Curve], epochs: Sequence[int], num_epochs: int) -> list[RungReliability]:
    """Of those of these epochs that are before the reference; empty while too few trials have come far enough."""
    far, reference = _far_curves(curves, num_epochs)
    if not far:
        return []
    draws = np.random.default_rng(0).integers(len(far), size=(_NUM_RESAMPLES, len(far)))
    late = _signs(_skills_at(far, reference))
    return [
        _reliability(epoch, reference, _signs(_skills_at(far, epoch)), late, draws)
        for epoch in epochs
        if epoch < reference
    ]


def describe_reliability(curves: Sequence[Curve], epochs: Sequence[int], num_epochs: int) -> str:
    """One line for those who watch; empty while too few trials have come far enough."""
    return "  ".join(f"epoch {one.epoch}: {one}" for one in rung_reliability(curves, epochs, num_epochs))


def first_reliable_epoch(curves: Sequence[Curve], num_epochs: int, *, least: int) -> int | None:
    """The earliest epoch from `least` at which tau reaches `THRESHOLD`, at most a third of all.

    None while too few trials have come far enough.
    """
    far, reference = _far_curves(curves, num_epochs)
    if not far:
        return None
    late, most = _signs(_skills_at(far, reference)), num_epochs // REDUCTION_FACTOR
    for epoch in range(least, min(most, reference)):
        if _tau(_signs(_skills_at(far, epoch)), late) >= THRESHOLD:
            return epoch
    return max(least, most)


def is_far(epoch: int, num_epochs: int) -> bool:
    """Whether a trial that came to `epoch` may say something of earlier ones."""
    return epoch * REDUCTION_FACTOR >= num_epochs


def _far_curves(curves: Sequence[Curve], num_epochs: int) -> tuple[list[Curve], int]:
    """The trials to compare, and the epoch that all of them came to."""
    reached = sorted((max(curve) for curve in curves if curve), reverse=True)
    if len(reached) < LEAST_TRIALS or not is_far(reached[LEAST_TRIALS - 1], num_epochs):
        return [], 0
    reference = reached[LEAST_TRIALS - 1]
    return [curve for curve in curves if curve and max(curve) >= reference][-_MOST_TRIALS:], reference


def _reliability(
    epoch: int, reference: int, early: NDArray[np.float64], late: NDArray[np.float64], draws: NDArray[np.int64]
) -> RungReliability:
    taus = [_tau(early[np.ix_(draw, draw)], late[np.ix_(draw, draw)]) for draw in draws]
    low, high = np.percentile(taus, [2.5, 97.5])
    return RungReliability(epoch, reference, len(late), _tau(early, late), float(low), float(high))


def _signs(skills_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, N): which of two trials is better."""
    return np.sign(skills_N[:, None] - skills_N[None, :])


def _tau(one_NN: NDArray[np.float64], other_NN: NDArray[np.float64]) -> float:
    """Kendall 1945; 0 where all are equal, which ranks nothing."""
    untied = np.sqrt(np.abs(one_NN).sum() * np.abs(other_NN).sum())
    return float((one_NN * other_NN).sum() / untied) if untied else 0.0


def _skills_at(curves: Sequence[Curve], epoch: int) -> NDArray[np.float64]:
    """At that epoch, or at the last before it that has one."""
    return np.array([curve[max((step for step in curve if step <= epoch), default=min(curve))] for curve in curves])
