"""Probabilities and conformal sets of the levels of ordinal and categorical tasks.

Every level of a row has a score, the lower the more it conforms; a set is of the levels whose score is at most a
threshold, the ⌈(n+1)·confidence⌉-th smallest score of the true levels of n calibration patients, so that the set of a
further exchangeable patient holds the truth with probability at least `confidence`.

    categorical   1 − p of the level (Sadinle, Lei, Wasserman 2019)
    ordinal       the probability gathered before the level is reached, from the predicted one to the likelier neighbour
                  and so on (after Lu, Angelopoulos, Pomerantz 2022): levels of a set stand together

The predicted level has score 0: no set is empty. Scores are those of the network as it is, without its temperature,
which calibration patients decided: so they are exchangeable with those of further patients.

    P patients · N rows · K outputs of one task · L its levels
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from sepl.bundle.manifest import Intervals
from sepl.levels import level_probabilities, predicted_level
from sepl.tasks import Task

Floats = NDArray[np.float64]

MIN_PATIENTS_PER_LEVEL = 5
"""With fewer in all levels but one, a temperature follows the accident of a few patients; it stays 1."""

TEMPERATURE_RANGE = (0.1, 10.0)
"""Classes that happen to be separable would drive it to 0, an uninformative logit to infinity."""

_LEAST_PROBABILITY = 1e-12


@dataclass(frozen=True, eq=False)
class CalibratedLevels:
    """Of one graded task."""

    task: Task
    probabilities_NL: Floats
    in_set_NL: NDArray[np.bool_] | None
    """Which levels the sets hold; None without enough calibration patients."""


def calibrated_levels(outputs_NK: NDArray[np.floating], task: Task, intervals: Intervals) -> CalibratedLevels:
    """Probabilities and sets of levels of one task's network outputs."""
    threshold = intervals.set_thresholds.get(task.name)
    return CalibratedLevels(
        task,
        level_probabilities(outputs_NK, task, intervals.temperatures.get(task.name, 1.0)),
        None if threshold is None else level_scores(outputs_NK, task) <= threshold,
    )


def true_level_scores(outputs_PK: NDArray[np.floating], labels_P: Floats, task: Task) -> Floats:
    """Scores (P,) of the patients' true levels; each patient has a label, the place of a level."""
    return np.take_along_axis(level_scores(outputs_PK, task), _places(labels_P, task)[:, None], axis=1)[:, 0]


def level_scores(outputs_NK: NDArray[np.floating], task: Task) -> Floats:
    """Scores (N, L): how little each level conforms, 0 of the predicted one."""
    probabilities_NL = level_probabilities(outputs_NK, task)
    places_N = predicted_level(probabilities_NL, task).astype(np.int64)
    if task.kind == "ordinal":
        return _gathered_before(probabilities_NL, places_N)
    scores_NL = 1.0 - probabilities_NL
    scores_NL[np.arange(len(scores_NL)), places_N] = 0.0
    return scores_NL


def fit_level_temperature(outputs_PK: NDArray[np.floating], labels_P: Floats, task: Task) -> float:
    """The temperature with the lowest log loss of the true levels; 1 where none is lower, or too few patients tell."""
    places_P = _places(labels_P, task)
    counts_L = np.bincount(places_P, minlength=len(task.levels))
    if (counts_L >= MIN_PATIENTS_PER_LEVEL).sum() < 2:
        return 1.0

    def log_loss(log_temperature: float) -> float:
        probabilities_PL = level_probabilities(outputs_PK, task, math.exp(log_temperature))
        own_P = np.take_along_axis(probabilities_PL, places_P[:, None], axis=1)
        return float(-np.log(np.maximum(own_P, _LEAST_PROBABILITY)).mean())

    temperature = best_temperature(log_loss)
    return temperature if log_loss(math.log(temperature)) < log_loss(0.0) else 1.0


def best_temperature(log_loss: Callable[[float], float]) -> float:
    """The temperature of the range with the lowest log loss, which is given as a function of its logarithm."""
    low, high = (math.log(limit) for limit in TEMPERATURE_RANGE)
    return math.exp(minimize_scalar(log_loss, bounds=(low, high), method="bounded").x)


def _gathered_before(probabilities_NL: Floats, places_N: NDArray[np.int64]) -> Floats:
    """(N, L) probability of the levels that are taken before: from `places_N` always the likelier neighbour is next.

    Of equally likely ones the milder is.
    """
    num_rows, num_levels = probabilities_NL.shape
    rows_N = np.arange(num_rows)
    # a level that is not there, on either side, is never the likelier one
    padded_NL = np.pad(probabilities_NL, ((0, 0), (1, 1)), constant_values=-1.0)
    scores_NL = np.zeros_like(probabilities_NL)
    low_N, high_N = places_N.copy(), places_N.copy()
    gathered_N = probabilities_NL[rows_N, places_N]
    for _ in range(num_levels - 1):
        below_N, above_N = padded_NL[rows_N, low_N], padded_NL[rows_N, high_N + 2]
        goes_down_N = below_N >= above_N
        low_N, high_N = low_N - goes_down_N, high_N + ~goes_down_N
        next_N = np.where(goes_down_N, low_N, high_N)
        scores_NL[rows_N, next_N] = gathered_N
        gathered_N = gathered_N + np.where(goes_down_N, below_N, above_N)
    return scores_NL


def _places(labels_P: Floats, task: Task) -> NDArray[np.int64]:
    return np.clip(np.rint(labels_P), 0, len(task.levels) - 1).astype(np.int64)
