"""Searches whose best configuration is known: what a sampler reaches on them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler

NUM_TRIALS = 60
_NOISE = 0.02


def quadratic(params: dict[str, Any]) -> float:
    """0 at the best, x = 0.3, y = 0.01, kind "b" and width 6; of kind "a" no width is asked."""
    apart = (params["x"] - 0.3) ** 2 + (np.log10(params["y"]) / 4 + 0.5) ** 2
    width = ((params["width"] - 6) / 10) ** 2 if "width" in params else 0.0
    return float(-apart - width - (0.0 if params["kind"] == "b" else 0.2))


def ask_quadratic(trial: Any) -> None:
    trial.suggest_float("x", 0.0, 1.0)
    trial.suggest_float("y", 1e-4, 1.0, log=True)
    if trial.suggest_categorical("kind", ["a", "b", "c"]) != "a":
        trial.suggest_int("width", 1, 8)


def new_study(sampler: BaseSampler) -> optuna.Study:
    return optuna.create_study(direction="maximize", sampler=sampler)


def search(sampler: BaseSampler, seed: int, num_trials: int = NUM_TRIALS) -> float:
    """The best value without its noise that the trials came to."""
    study, noise = new_study(sampler), np.random.default_rng(seed)
    values = []
    for _ in range(num_trials):
        trial = study.ask()
        ask_quadratic(trial)
        values.append(quadratic(trial.params))
        study.tell(trial, values[-1] + noise.normal(0.0, _NOISE))
    return max(values)


def median_best(make: Callable[[int], BaseSampler], num_seeds: int = 10, num_trials: int = NUM_TRIALS) -> float:
    return float(np.median([search(make(seed), seed, num_trials) for seed in range(num_seeds)]))
