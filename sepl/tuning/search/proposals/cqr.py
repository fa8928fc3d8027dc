"""Conformalised quantile regression on last values, whatever the rung (Salinas et al., ICML 2023).

A regression learns the quantiles of a trial's last value from its hyperparameters. Trials that were promoted have come
further and are better for it, so last values of different rungs need no model of the epochs. Of some hundred candidates
each draws one of the quantiles (as Thompson sampling draws one of the possible functions), and the candidate with the
highest wins. Values are learnt as normal scores of their ranks. The candidates of three proposals in ten are drawn
evenly from the space, those of six near the best trials: trees say the same of a whole neighbourhood, where
evenly drawn candidates would be most of those that tie. One proposal in ten is drawn without asking the regression,
which knows nothing of where no trial was.

What it costs: three small boosted regressions are fitted for each new trial up to 20, then when a tenth more have
finished, on all that finished before then; in between a proposal only predicts. A candidate near a trial that the
regression does not know is not believed to be better than that trial was, or than middling where it still runs (the
constant liar).
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
from sepl.tuning.search.proposals.candidates import drawn_evenly, near_good
from sepl.tuning.search.proposals.evidence import Evidence
from sepl.tuning.search.proposals.quantiles import ConformalQuantiles

_NUM_CANDIDATES = 500
_AT_RANDOM, _DRAWN_EVENLY = 0.1, 0.3
"""Shares of the proposals."""
_NUM_GOOD = 5
_ALWAYS_REFITTED = 20
_GROWTH = 1.1
_NEAR = 0.05
"""Mean distance over hyperparameters, in ranges, within which a candidate is taken for a copy."""


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
        params = self._surrogate(study, evidence).best(evidence, random_numbers(self._seed, trial.number))
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
        key = study.study_name, frozenset((trial.number, evidence.last_value(trial)) for trial in trials)
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
        value_N = np.array([evidence.last_value(trial) for trial in trials])
        order = np.lexsort((*codes_NP.T, value_N))
        self._codes_NP, self._value_N = codes_NP[order], value_N[order]
        self._score_N = _normal_scores(self._value_N)
        self._quantiles = ConformalQuantiles.fit(self._axes.features(self._codes_NP), self._score_N, seed)

    def best(self, evidence: Evidence, rng: Generator) -> dict[str, Any]:
        """The candidate with the highest of the quantiles that they drew; one that was never tried, where there is."""
        news = [trial for trial in evidence.judged if trial.number not in self._numbers]
        new_MP = self._axes.codes([trial.params for trial in news])
        new_M = np.array([evidence.last_value(trial) for trial in news])
        running_MP = self._axes.codes([trial.params for trial in evidence.running])
        believed_M = np.concatenate([self._place(new_M), np.full(len(running_MP), np.median(self._score_N))])
        candidates_CP, score_C = self._scored(new_MP, new_M, rng)
        score_C = np.minimum(score_C, self._most(candidates_CP, np.concatenate([new_MP, running_MP]), believed_M))
        tried = [trial.params for trial in (*evidence.judged, *evidence.running)]
        ranked = candidates_CP[np.argsort(-score_C, kind="stable")]
        drawn = (self._axes.params(codes_P) for codes_P in ranked)
        return next((params for params in drawn if params not in tried), self._axes.params(ranked[0]))

    def _scored(self, new_MP: Floats, new_M: Floats, rng: Generator) -> tuple[Floats, Floats]:
        """Candidates (C, P) and, of each, the quantile that it drew; all the same where one is drawn at random."""
        kind = rng.random()
        if kind < _AT_RANDOM + _DRAWN_EVENLY:
            candidates_CP = drawn_evenly(self._axes, self._codes_NP, rng, _NUM_CANDIDATES)
        else:
            codes_NP, value_N = np.concatenate([self._codes_NP, new_MP]), np.concatenate([self._value_N, new_M])
            best = np.lexsort((*codes_NP.T, value_N))[-_NUM_GOOD:]
            candidates_CP = near_good(self._axes, self._codes_NP, codes_NP[best], rng, _NUM_CANDIDATES)
        if kind < _AT_RANDOM:
            return candidates_CP, np.zeros(len(candidates_CP))
        return candidates_CP, self._quantiles.draw(self._axes.features(candidates_CP), rng)

    def _place(self, value_M: Floats) -> Floats:
        """Scores that the values would have had among those that were learnt from."""
        return self._score_N[np.minimum(np.searchsorted(self._value_N, value_M), len(self._score_N) - 1)]

    def _most(self, candidates_CP: Floats, known_MP: Floats, believed_M: Floats) -> Floats:
        """What a candidate may be believed to come to, beside these trials; inf where none is near."""
        near_CM = self._axes.distances(candidates_CP, known_MP) < _NEAR
        return np.where(near_CM, believed_M, np.inf).min(axis=1, initial=np.inf)


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
