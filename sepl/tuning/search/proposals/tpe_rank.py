"""TPE on last values, each ranked within the rung that it was reached at.

Optuna's TPE models trials that were stopped early as good ones only while fewer have run to the end than it wants good
ones, so that the best of thirty stopped at epoch 3 never outranks the worst of four that ran to the end. Here every
trial is judged by its rank among all that came as far as it did (`Evidence.ranks`), and Optuna's TPE, with its public
parts alone, is shown these ranks as the values of an otherwise equal study in memory. Running trials have the worst
rank there (the constant liar), and so have those that failed by what they computed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from sepl.tuning.search.proposals.axes import Axis, random_numbers
from sepl.tuning.search.proposals.evidence import Evidence

_MOST_SHOWN = 150
"""Trials, the best among them and the newest of the others: each costs every proposal a quarter of a millisecond, and
TPE weighs old ones little."""
_NUM_GOOD = 15  # as many of so many as TPE takes for good, a tenth


class RankTPESampler(BaseSampler):
    """Depends on the seed, the trial's number and what the others have shown; nothing is remembered in between."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._shown: tuple[int, Study | None] = (-1, None)

    def reseed_rng(self) -> None:
        """Nothing: every trial has random numbers of its own."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        ranked = self._ranked(study, trial)
        return {} if ranked is None else self._tpe(trial).infer_relative_search_space(ranked, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        ranked = self._ranked(study, trial)
        return {} if ranked is None else self._tpe(trial).sample_relative(ranked, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        ranked = self._ranked(study, trial)
        if ranked is None:
            axis, rng = Axis(param_distribution), random_numbers(self._seed, trial.number, param_name)
            return axis.value(axis.draw(rng, 1)[0])
        return self._tpe(trial, param_name).sample_independent(ranked, trial, param_name, param_distribution)

    def _tpe(self, trial: FrozenTrial, name: str = "") -> TPESampler:
        seed = int(random_numbers(self._seed, trial.number, name).integers(2**31))
        return TPESampler(seed=seed, n_startup_trials=0, constant_liar=False)

    def _ranked(self, study: Study, trial: FrozenTrial) -> Study | None:
        """Once a trial; None while there is too little to learn from."""
        number, ranked = self._shown
        if number != trial.number:
            evidence = Evidence.of(study, but=trial.number)
            ranked = _ranked_study(evidence) if evidence.has_started else None
            self._shown = trial.number, ranked
        return ranked


def _ranked_study(evidence: Evidence) -> Study:
    ranks = evidence.ranks() | {trial.number: 0.0 for trial in evidence.running}
    trials = sorted((*evidence.judged, *evidence.running), key=lambda trial: trial.number)
    best = sorted(trials, key=lambda trial: -ranks[trial.number])[:_NUM_GOOD]
    good = {trial.number for trial in best}
    others = [trial.number for trial in trials if trial.number not in good]
    shown = good | set(others[-(_MOST_SHOWN - _NUM_GOOD) :])
    with _without_its_line():
        study = optuna.create_study(direction="maximize")
    for trial in trials:
        if trial.number in shown:
            study.add_trial(
                create_trial(
                    state=TrialState.COMPLETE,
                    value=ranks[trial.number],
                    params=trial.params,
                    distributions=trial.distributions,
                )
            )
    return study


@contextmanager
def _without_its_line() -> Iterator[None]:
    """Else "A new study created in memory" at every proposal."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)
