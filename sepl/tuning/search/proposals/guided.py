"""A sampler that follows a prior at first, and less and less as the study has trials of its own.

After PriorBand (Mallik et al., NeurIPS 2023) and πBO (Hvarfner et al., ICLR 2022). The rule:

1. Of the proposals, a share of ¾ · 10 / (10 + n) · trust, n being the trials with a value, is made from the prior's
   good part: its best quarter, three trials at least. One of them is drawn, the n-th best with a weight of 1 / n: as it
   is where no trial has been that yet, else with its numbers moved by a tenth of their ranges and one choice in ten
   drawn anew. What it does not say is drawn at random.
2. All other proposals are the sampler's own, random ones at the beginning among them: the exploration.
3. Trust is (5 + n · r) / (5 + n), at least 0, r being the rank correlation between how the n trials of the study turned
   out and how the prior would have had them (the mean rank of its trials, the nearer the heavier). It is 1 at the
   beginning, stays near 1 as long as the prior is right, and a prior that has it the wrong way round is dropped after a
   handful of trials.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from sepl.tuning.search.proposals.axes import Axes, Axis, Floats, random_numbers
from sepl.tuning.search.proposals.evidence import NUM_STARTUP, Evidence
from sepl.tuning.search.proposals.prior import PriorTrial

_SHARE_AT_FIRST = 0.75
_PATIENCE = 5.0
"""Trials that a prior's word is worth before the study has its own."""
_GOOD_PART = 0.25
_LEAST_GOOD = 3
_WIDTH = 0.1
_REACH = 0.1
"""Distance at which a trial of the prior still weighs e⁻¹ of one at the same place."""


class PriorGuidedSampler(BaseSampler):
    """Depends on the seed, the trial's number and what the others have shown, as far as `sampler` does."""

    def __init__(self, sampler: BaseSampler, prior: Sequence[PriorTrial], *, seed: int) -> None:
        self._sampler, self._prior, self._seed = sampler, tuple(prior), seed
        self._followed: tuple[int, Mapping[str, Any] | None] = (-1, None)
        self._is_new = False

    def reseed_rng(self) -> None:
        self._sampler.reseed_rng()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        if self._follow(study, trial) is not None:
            return {}
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if self._follow(study, trial) is not None:
            return {}
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        point = self._follow(study, trial)
        if point is None:
            return self._sampler.sample_independent(study, trial, param_name, param_distribution)
        axis, rng = Axis(param_distribution), random_numbers(self._seed, trial.number, f"prior {param_name}")
        if param_name not in point or not axis.fits(point[param_name]):
            return axis.value(axis.draw(rng, 1)[0])
        if self._is_new:
            return point[param_name]
        return axis.value(axis.near(np.array([axis.code(point[param_name])]), rng, _WIDTH)[0])

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._sampler.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        self._sampler.after_trial(study, trial, state, values)

    def _follow(self, study: Study, trial: FrozenTrial) -> Mapping[str, Any] | None:
        """The prior's point that this trial is made from, if it is."""
        number, point = self._followed
        if number != trial.number:
            evidence = Evidence.of(study, but=trial.number)
            rng = random_numbers(self._seed, trial.number, "prior")
            follows = rng.random() < prior_share(evidence, self._prior)
            point = self._good_point(rng) if follows else None
            tried = [other.params for other in (*evidence.judged, *evidence.running)]
            self._is_new = point is not None and not any(_repeats(params, point) for params in tried)
            self._followed = trial.number, point
        return point

    def _good_point(self, rng: np.random.Generator) -> Mapping[str, Any]:
        number = max(_LEAST_GOOD, round(_GOOD_PART * len(self._prior)))
        good = sorted(self._prior, key=lambda known: -known.rank)[:number]
        weights = 1.0 / np.arange(1, len(good) + 1)
        return good[rng.choice(len(good), p=weights / weights.sum())].params


def prior_share(evidence: Evidence, prior: Sequence[PriorTrial]) -> float:
    """How often a proposal is made from the prior."""
    number = len(evidence.curves)
    return _SHARE_AT_FIRST * NUM_STARTUP / (NUM_STARTUP + number) * _trust(evidence, prior)


def _trust(evidence: Evidence, prior: Sequence[PriorTrial]) -> float:
    ranks = evidence.ranks()
    trials = [trial for trial in evidence.judged if trial.params]
    if len(trials) < 2:
        return 1.0
    axes = Axes.of(trials)
    expected_N = _expected(axes, axes.codes([trial.params for trial in trials]), prior)
    agreement = _rank_correlation(np.array([ranks[trial.number] for trial in trials]), expected_N)
    return max(0.0, (_PATIENCE + len(trials) * agreement) / (_PATIENCE + len(trials)))


def _expected(axes: Axes, codes_NP: Floats, prior: Sequence[PriorTrial]) -> Floats:
    """Ranks that the prior would have given these configurations, from its trials nearby."""
    distance_NM = axes.distances(codes_NP, axes.codes([known.params for known in prior]))
    weight_NM = np.exp(-(distance_NM - distance_NM.min(axis=1, keepdims=True)) / _REACH)
    return (weight_NM * np.array([known.rank for known in prior])).sum(axis=1) / weight_NM.sum(axis=1)


def _rank_correlation(first_N: Floats, second_N: Floats) -> float:
    """Spearman's; 0 where either is all the same."""
    first_N, second_N = _places(first_N), _places(second_N)
    spread = first_N.std() * second_N.std()
    if spread == 0:
        return 0.0
    return float(((first_N - first_N.mean()) * (second_N - second_N.mean())).mean() / spread)


def _places(values_N: Floats) -> Floats:
    values_N = np.round(values_N, 9)  # equal but for rounding is equal
    return (values_N[:, None] > values_N[None]).sum(axis=1) + (values_N[:, None] == values_N[None]).sum(axis=1) / 2.0


def _repeats(params: Mapping[str, Any], point: Mapping[str, Any]) -> bool:
    """Whether a trial is that point as far as both say anything."""
    shared = params.keys() & point.keys()
    return bool(shared) and all(params[name] == point[name] for name in shared)
