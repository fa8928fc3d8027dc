"""Conformalised quantile regression on last values, whatever the rung (Salinas et al., ICML 2023).

A regression learns the quantiles of a trial's last value from its hyperparameters. Trials that were promoted have come
further and are better for it, so last values of different rungs need no model of the epochs. Of a thousand candidates,
half drawn evenly and half near the best trials, each draws one of the quantiles (as Thompson sampling draws one of the
possible functions), and the candidate with the highest wins. Values are learnt as normal scores of their ranks.

What it costs: five small boosted regressions are fitted for each new trial up to 40, then when 5 % more have finished,
on all that finished before then; in between a proposal only predicts. Candidates near a trial that the regression does
not know yet, running or newly finished, are not taken for better than middling (the constant liar).
"""

from collections.abc import Sequence
from datetime import datetime
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.random import Generator
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from sepl.tuning.search.proposals.axes import Axes, Axis, Floats, random_numbers
from sepl.tuning.search.proposals.candidates import draw_candidates
from sepl.tuning.search.proposals.evidence import Evidence
from sepl.tuning.search.proposals.quantiles import LEVELS, ConformalQuantiles

_NUM_DRAWN = 500
"""Candidates drawn evenly, and as many near good trials."""
_NUM_GOOD = 5
_ALWAYS_REFITTED = 40
_GROWTH = 1.05
_NEAR = 0.05
"""Mean distance over hyperparameters, in ranges, within which a candidate is taken for a copy."""
_MOST_COMPARED = 50
"""Candidates, the highest, among which one that was never tried is looked for."""


class QuantileSampler(BaseSampler):
    """Depends on the seed, the trial's number and what the others have shown; the last fit is kept to save time."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._evidence: tuple[int, Evidence | None] = (-1, None)
        self._fit: tuple[object, _Surrogate | None] = (None, None)

    def reseed_rng(self) -> None:
        """Nothing: every trial has random numbers of its own."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All that the trials were asked, conditional ones too; `sample_relative` answers what goes together."""
        evidence = self._evidence_for(study, trial)
        return Axes.of(evidence.judged).distributions if evidence.has_started else {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        evidence = self._evidence_for(study, trial)
        if not search_space or not evidence.has_started:
            return {}
        others = (*evidence.judged, *evidence.running)
        params = self._surrogate(study, evidence).best(others, random_numbers(self._seed, trial.number))
        return {name: value for name, value in params.items() if name in search_space}

    def sample_independent(
        self,
        study: Study,  # noqa: ARG002 - Optuna's signature
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """At random: at the beginning, and of what no trial of this shape was asked before."""
        axis, rng = Axis(param_distribution), random_numbers(self._seed, trial.number, param_name)
        return axis.value(axis.draw(rng, 1)[0])

    def _evidence_for(self, study: Study, trial: FrozenTrial) -> Evidence:
        number, evidence = self._evidence
        if evidence is None or number != trial.number:
            evidence = Evidence.of(study, but=trial.number)
            self._evidence = trial.number, evidence
        return evidence

    def _surrogate(self, study: Study, evidence: Evidence) -> "_Surrogate":
        trials = _to_fit(evidence.judged)
        key = study.study_name, frozenset(trial.number for trial in trials)
        kept, surrogate = self._fit
        if surrogate is None or kept != key:
            surrogate = _Surrogate(trials, evidence, self._seed)
            self._fit = key, surrogate
        return surrogate


class _Surrogate:
    """What some finished trials say of all configurations; in which order they ran does not matter."""

    def __init__(self, trials: Sequence[FrozenTrial], evidence: Evidence, seed: int) -> None:
        self._numbers = {trial.number for trial in trials}
        self._axes = Axes.of(trials)
        codes_NP = self._axes.codes([trial.params for trial in trials])
        score_N = _normal_scores(np.array([evidence.last_value(trial) for trial in trials]))
        order = np.lexsort((*codes_NP.T, score_N))
        self._seen_NP, self._score_N = codes_NP[order], score_N[order]
        self._quantiles = ConformalQuantiles.fit(self._axes.features(self._seen_NP), self._score_N, seed)

    def best(self, others: Sequence[FrozenTrial], rng: Generator) -> dict[str, Any]:
        """The candidate with the highest of the quantiles that they drew; one that was never tried, where there is."""
        candidates_CP = draw_candidates(self._axes, self._seen_NP, self._seen_NP[-_NUM_GOOD:], rng, _NUM_DRAWN)
        score_C = self._believe(candidates_CP, [trial for trial in others if trial.number not in self._numbers], rng)
        tried = [trial.params for trial in others]
        ranked = [self._axes.params(candidates_CP[place]) for place in np.argsort(-score_C)[:_MOST_COMPARED]]
        return next((params for params in ranked if params not in tried), ranked[0])

    def _believe(self, candidates_CP: Floats, unknown: Sequence[FrozenTrial], rng: Generator) -> Floats:
        quantiles_CQ = self._quantiles.predict(self._axes.features(candidates_CP))
        score_C = quantiles_CQ[np.arange(len(candidates_CP)), rng.integers(len(LEVELS), size=len(candidates_CP))]
        if not unknown:
            return score_C
        unknown_MP = self._axes.codes([trial.params for trial in unknown])
        near_C = (self._axes.distances(candidates_CP, unknown_MP) < _NEAR).any(axis=1)
        return np.where(near_C, np.minimum(score_C, float(np.median(self._score_N))), score_C)


def _to_fit(judged: Sequence[FrozenTrial]) -> Sequence[FrozenTrial]:
    """Those that finished first: all while they are few, and later as many as at the last refit."""
    number = min(len(judged), _ALWAYS_REFITTED)
    while (more := max(number + 1, int(number * _GROWTH))) <= len(judged):
        number = more
    return sorted(judged, key=lambda trial: (trial.datetime_complete or datetime.max, trial.number))[:number]


def _normal_scores(values_N: Floats) -> Floats:
    """A normal distribution's quantiles at the ranks; values that tie share the mean of their ranks."""
    below_N = (values_N[:, None] > values_N[None]).sum(axis=1)
    equal_N = (values_N[:, None] == values_N[None]).sum(axis=1)
    places_N = (below_N + equal_N / 2) / len(values_N)
    return np.array([NormalDist().inv_cdf(place) for place in places_N])
