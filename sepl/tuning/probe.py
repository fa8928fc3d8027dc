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
    storage = optuna.storages.InMemoryStorage()
    study_id = storage.create_new_study(
        [optuna.study.StudyDirection.MAXIMIZE], "probe"
    )  # create_study() would log a line
    sampler = optuna.samplers.RandomSampler(seed=0)
    return optuna.Study(storage.get_study_name_from_id(study_id), storage, sampler=sampler)
