"""The rungs of successive halving: who reached them with which skill."""

import math
from bisect import bisect_left, insort
from collections.abc import Iterator

REDUCTION_FACTOR = 3  # Li et al., MLSys 2020: one trial in three goes on from each rung


def rung_epochs(num_epochs: int, grace_epochs: int, reduction_factor: int = REDUCTION_FACTOR) -> list[int]:
    """From `grace_epochs` on, each `reduction_factor` times the one before, none beyond `num_epochs`."""
    epochs = [min(grace_epochs, num_epochs)]
    while epochs[-1] * reduction_factor <= num_epochs:
        epochs.append(epochs[-1] * reduction_factor)
    return epochs


class Rung:
    """Skills at one epoch, in order; a skill more costs a search, not a sort."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self._skills: dict[int, float] = {}
        self._ranked: list[tuple[float, int]] = []
        """Best first: −skill, and who came first of equals."""
        self._arrivals: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._skills)

    def __contains__(self, trial: int) -> bool:
        return trial in self._skills

    def __iter__(self) -> Iterator[int]:
        """Trials in the order in which they came."""
        return iter(self._skills)

    def record(self, trial: int, skill: float) -> None:
        self._arrivals[trial] = len(self._skills)
        self._skills[trial] = skill
        insort(self._ranked, self.place(trial))

    def skill(self, trial: int) -> float:
        return self._skills[trial]

    def skills(self) -> list[float]:
        """From the worst."""
        return [-negative for negative, _ in reversed(self._ranked)]

    def place(self, trial: int) -> tuple[float, int]:
        """What trials are ranked by, the best the least."""
        return (-self._skills[trial], self._arrivals[trial])

    def rank(self, trial: int) -> int:
        """0 of the best; of equals the first to come is better."""
        return bisect_left(self._ranked, self.place(trial))

    def quantile(self, fraction: float) -> float:
        """As `numpy.quantile` interpolates, bit for bit, without a pass over all skills."""
        position = (len(self._ranked) - 1) * fraction
        below = math.floor(position)
        above, share = min(below + 1, len(self._ranked) - 1), position - below
        low, high = -self._ranked[-1 - below][0], -self._ranked[-1 - above][0]
        return high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share


class Ladder:
    """Rungs from the first to the last."""

    def __init__(self, epochs: list[int]) -> None:
        self.rungs = [Rung(epoch) for epoch in epochs]

    def newly_reached(self, trial: int, epoch: int) -> int | None:
        """The place of the highest rung up to `epoch` in which the trial is not yet."""
        for place in range(len(self.rungs) - 1, -1, -1):
            if self.rungs[place].epoch <= epoch and trial not in self.rungs[place]:
                return place
        return None

    def highest(self, trial: int) -> int | None:
        """The place of the highest rung in which the trial is."""
        return next((place for place in range(len(self.rungs) - 1, -1, -1) if trial in self.rungs[place]), None)

    def counts(self) -> list[tuple[int, int]]:
        return [(rung.epoch, len(rung)) for rung in self.rungs]
