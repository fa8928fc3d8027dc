"""PASHA (Bohdal et al., ICLR 2023): promotion under a cap that grows only while longer training changes the order.

The cap is the second rung at first. Each time a trial comes to it, its rung's order of trials is compared with theirs
at the rung below; when the two disagree by more than the noise, the cap moves to the next rung.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sepl.tuning.search.schedulers.base import Decision, TrialState
from sepl.tuning.search.schedulers.promotion import PromotionASHA
from sepl.tuning.search.schedulers.rungs import REDUCTION_FACTOR

_NOISE_PERCENTILE = 90.0  # of the distances between trials that overtake each other and back, as in the paper
_MOST_COMPARED = 64
"""Trials at the cap, the last to come, of which the noise is estimated: what a report costs does not grow."""

Curve = Mapping[int, float]


class PASHA(PromotionASHA):
    """`PromotionASHA` that trains no trial beyond the cap, except the one that is to be whole at the end."""

    def __init__(self, *, num_epochs: int, grace_epochs: int = 1, reduction_factor: int = REDUCTION_FACTOR) -> None:
        super().__init__(num_epochs=num_epochs, grace_epochs=grace_epochs, reduction_factor=reduction_factor)
        self._cap = min(1, len(self._ladder.rungs) - 1)
        self._curves: dict[int, dict[int, float]] = {}

    def enter(self, trial: int, values: Iterable[tuple[int, float]] = (), state: TrialState = "running") -> None:
        values = list(values)
        self._curves.setdefault(trial, {}).update(values)
        super().enter(trial, values, state)

    def report(self, trial: int, epoch: int, skill: float) -> Decision:
        self._curves.setdefault(trial, {})[epoch] = skill
        return super().report(trial, epoch, skill)

    def end(self, trial: int) -> None:
        super().end(trial)
        if self._ladder.highest(trial) is None:
            self._curves.pop(trial, None)

    def max_epochs(self) -> int:
        return self._ladder.rungs[self._cap].epoch

    def _last_place(self) -> int:
        return min(self._cap - 1, super()._last_place())

    def _record(self, trial: int, epoch: int, skill: float) -> int | None:
        place = super()._record(trial, epoch, skill)
        if place == self._cap and self._cap < len(self._ladder.rungs) - 1 and not self._agree():
            self._cap += 1
        return place

    def _agree(self) -> bool:
        """Whether the order at the cap is that of the rung below it, up to the noise."""
        at_cap, below = self._ladder.rungs[self._cap], self._ladder.rungs[self._cap - 1]
        trials = [trial for trial in at_cap if trial in below][-_MOST_COMPARED:]
        curves = [self._curves[trial] for trial in trials]
        return soft_ranks_agree(
            [below.skill(trial) for trial in trials],
            [at_cap.skill(trial) for trial in trials],
            noise=crossing_noise(curves, at_cap.epoch),
        )


def soft_ranks_agree(lower: list[float], upper: list[float], *, noise: float) -> bool:
    """Whether each trial's place by its upper skill is one that its lower skill could have had.

    The trial at a place of the upper order may be any whose lower skill is within `noise` of that of the trial at the
    same place of the lower order.
    """
    by_lower = sorted(range(len(lower)), key=lambda trial: -lower[trial])
    by_upper = sorted(range(len(upper)), key=lambda trial: -upper[trial])
    return all(abs(lower[one] - lower[other]) <= noise for one, other in zip(by_upper, by_lower, strict=True))


def crossing_noise(curves: Sequence[Curve], epoch: int) -> float:
    """The distance at `epoch` that means nothing: of pairs which overtook each other and back again up to there.

    0 when there is no such pair.
    """
    epochs = sorted({step for curve in curves for step in curve if step <= epoch})
    skills_NE = np.array([[curve.get(step, np.nan) for step in epochs] for curve in curves])
    if not skills_NE.size:
        return 0.0
    gaps_NNE = skills_NE[:, None] - skills_NE[None]
    leads_NNE = _leads(gaps_NNE)
    turns_NN = (leads_NNE[:, :, 1:] * leads_NNE[:, :, :-1] < 0).sum(axis=-1)
    distances = np.abs(gaps_NNE[:, :, -1])[np.triu(turns_NN >= 2)]
    return float(np.nanpercentile(distances, _NOISE_PERCENTILE)) if np.isfinite(distances).any() else 0.0


def _leads(gaps_NNE: NDArray[np.float64]) -> NDArray[np.float64]:
    """Who of a pair leads at each epoch, 1 or −1: at a tie or where one has no skill it is who led before."""
    signs_NNE = np.sign(np.nan_to_num(gaps_NNE))
    for place in range(1, signs_NNE.shape[-1]):
        is_open = signs_NNE[:, :, place] == 0
        signs_NNE[:, :, place][is_open] = signs_NNE[:, :, place - 1][is_open]
    return signs_NNE
