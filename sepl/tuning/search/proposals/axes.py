"""Configurations as rows of numbers: a column a hyperparameter, NaN where it was not asked.

A number is its place in the range, from 0 to 1 and along the logarithm where the range is logarithmic; a choice is its
index. The names are in alphabetical order, so that the order in which trials were seen does not matter.

Axes: N configuration, P hyperparameter, F feature.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

Floats = NDArray[np.float64]


def random_numbers(seed: int, number: int, name: str = "") -> Generator:
    """Of one trial, and within it of one purpose, whatever was drawn before: a proposal repeats itself."""
    return np.random.default_rng([seed, number, *name.encode()])


@dataclass(frozen=True)
class Axis:
    """One hyperparameter."""

    distribution: BaseDistribution

    @property
    def num_choices(self) -> int:
        """0 of a number."""
        return len(self.distribution.choices) if isinstance(self.distribution, CategoricalDistribution) else 0

    def fits(self, value: Any) -> bool:
        """Whether the value is offered; one between two steps of a range is, being rounded."""
        if isinstance(self.distribution, CategoricalDistribution):
            return value in self.distribution.choices
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        low, high = self._range
        return low <= value <= high

    def code(self, value: Any) -> float:
        """NaN of a value that is not offered."""
        if not self.fits(value):
            return math.nan
        if self.num_choices:
            return self.distribution.to_internal_repr(value)
        low, high = self._edges
        return (self._scaled(value) - low) / (high - low) if high > low else 0.5

    def value(self, code: float) -> Any:
        """The inverse; a place beyond the range is its end, one between two steps the nearer."""
        if isinstance(self.distribution, CategoricalDistribution):
            return self.distribution.choices[int(code)]
        low, high = self._edges
        place = low + min(max(code, 0.0), 1.0) * (high - low)
        return self._rounded(math.exp(place) if self._is_log else place)

    def draw(self, rng: Generator, size: int) -> Floats:
        """Codes of values drawn evenly."""
        if self.num_choices:
            return rng.integers(self.num_choices, size=size).astype(np.float64)
        return rng.random(size)

    def near(self, codes_N: Floats, rng: Generator, width: float) -> Floats:
        """Codes nearby: normally distributed around a number, mirrored at the ends, and now and then another choice.

        `width` is the standard deviation, and the share of choices that are drawn anew.
        """
        if self.num_choices:
            return np.where(rng.random(len(codes_N)) < width, self.draw(rng, len(codes_N)), codes_N)
        moved_N = codes_N + rng.normal(0.0, width, len(codes_N))
        return np.clip(np.abs(np.where(moved_N > 1.0, 2.0 - moved_N, moved_N)), 0.0, 1.0)

    @property
    def _numeric(self) -> FloatDistribution | IntDistribution:
        assert isinstance(self.distribution, FloatDistribution | IntDistribution)
        return self.distribution

    @property
    def _is_log(self) -> bool:
        return self._numeric.log

    @property
    def _range(self) -> tuple[float, float]:
        return self._numeric.low, self._numeric.high

    @property
    def _edges(self) -> tuple[float, float]:
        """Scaled; half a step beyond the ends of a range with steps, so that each of them is drawn alike."""
        half = (self._numeric.step or 0) / 2
        low, high = self._range
        return self._scaled(low - half), self._scaled(high + half)

    def _scaled(self, value: float) -> float:
        return math.log(value) if self._is_log else float(value)

    def _rounded(self, value: float) -> float | int:
        numeric = self._numeric
        if numeric.step:
            steps = round((value - numeric.low) / numeric.step)
            most = math.floor((numeric.high - numeric.low) / numeric.step + 1e-9)
            value = numeric.low + min(max(steps, 0), most) * numeric.step
        value = min(max(value, numeric.low), numeric.high)
        return int(value) if isinstance(numeric, IntDistribution) else float(value)


class Axes:
    """All hyperparameters that some trials were asked."""

    def __init__(self, distributions: Mapping[str, BaseDistribution]) -> None:
        self.distributions = dict(sorted(distributions.items()))
        self._axes = {name: Axis(distribution) for name, distribution in self.distributions.items()}

    @classmethod
    def of(cls, trials: Iterable[FrozenTrial]) -> "Axes":
        """A range is that of the newest trial, should it have been changed."""
        distributions: dict[str, BaseDistribution] = {}
        for trial in sorted(trials, key=lambda trial: trial.number):
            distributions |= trial.distributions
        return cls(distributions)

    def __len__(self) -> int:
        return len(self._axes)

    def __iter__(self) -> Iterator[Axis]:
        return iter(self._axes.values())

    def codes(self, settings: Sequence[Mapping[str, Any]]) -> Floats:
        """(N, P)."""
        rows = [
            [axis.code(params[name]) if name in params else math.nan for name, axis in self._axes.items()]
            for params in settings
        ]
        return np.array(rows, np.float64).reshape(len(rows), len(self._axes))

    def params(self, codes_P: Floats) -> dict[str, Any]:
        """Those that are not NaN."""
        named = zip(self._axes.items(), codes_P, strict=True)
        return {name: axis.value(code) for (name, axis), code in named if not math.isnan(code)}

    def features(self, codes_NP: Floats) -> Floats:
        """(N, F) for a regression by trees: a number as it is, −1 where it is absent; of choices a column each."""
        columns: list[Floats] = []
        for axis, codes_N in zip(self._axes.values(), codes_NP.T, strict=True):
            if axis.num_choices:
                columns += [(codes_N == choice).astype(np.float64) for choice in range(axis.num_choices)]
            else:
                columns.append(np.nan_to_num(codes_N, nan=-1.0))
        return np.stack(columns, axis=1) if columns else np.zeros((len(codes_NP), 0))

    def distances(self, codes_NP: Floats, others_MP: Floats) -> Floats:
        """(N, M), from 0 to 1: the mean over hyperparameters of how far the places are apart, 1 of another choice or of
        one that only one of the two was asked."""
        apart_NMP = np.abs(codes_NP[:, None] - others_MP[None])
        is_choice_P = np.array([axis.num_choices > 0 for axis in self._axes.values()], bool)
        apart_NMP = np.where(is_choice_P, apart_NMP > 0, apart_NMP)
        absent_NMP = np.isnan(codes_NP)[:, None].astype(int) + np.isnan(others_MP)[None].astype(int)
        apart_NMP = np.where(absent_NMP == 2, 0.0, np.where(absent_NMP == 1, 1.0, apart_NMP))
        return apart_NMP.mean(axis=2) if len(self._axes) else np.zeros(apart_NMP.shape[:2])
