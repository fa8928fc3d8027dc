"""Trials that belong to no study, to walk through a search space with."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution

from sepl.errors import ConfigError


def random_trials(num_trials: int) -> Iterator[optuna.Trial]:
    """Trials that answer at random, the same ones every time."""
    study = _study()
    return (study.ask() for _ in range(num_trials))


class Answering:
    """A trial that answers from a point and remembers in `distributions` what it was asked."""

    def __init__(self, point: Mapping[str, Any], where: str) -> None:
        self._point, self._where = point, where
        self._probe = _study().ask()
        self.distributions: dict[str, BaseDistribution] = {}

    def __getattr__(self, method: str) -> Any:
        suggest = getattr(self._probe, method)
        return lambda name, *args, **kwargs: self._answer(suggest, name, *args, **kwargs)

    def _answer(self, suggest: Callable[..., Any], name: str, *args: Any, **kwargs: Any) -> Any:
        suggest(name, *args, **kwargs)
        self.distributions[name] = self._probe.distributions[name]
        if name not in self._point:
            raise ConfigError(f"{self._where} should set {name}, sets {', '.join(self._point)}")
        return self._point[name]


def _study() -> optuna.Study:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # else a line "A new study created in memory" each
    try:
        return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    finally:
        optuna.logging.set_verbosity(verbosity)
