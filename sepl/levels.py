"""Network outputs as levels: probabilities of the grades of an ordinal task or the classes of a categorical one.

An ordinal task of L grades has L − 1 logits o, each of a grade's being passed once it is reached (CORN: Shi, Cao,
Raschka 2023), so that P(level > k) = Π_{j ≤ k} σ(o_j); a categorical one has a logit a class (softmax).

    N rows · T tasks · O outputs · K outputs of one task · L levels of one task
"""

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, softmax

from sepl.tasks import Task, TaskTable

Floats = NDArray[np.float64]

_HALF = 0.5 + 1e-9  # tail sums of probabilities round
_NO_TEMPERATURES: Mapping[str, float] = {}


class Unscaling(Protocol):
    """What brings scaled values (…, T) into the tasks' units: a label scaler."""

    def unscale(self, outputs_NT: NDArray[np.floating]) -> NDArray[np.floating]: ...


def level_probabilities(outputs_NK: NDArray[np.floating], task: Task, temperature: float = 1.0) -> Floats:
    """Probabilities (N, L) of a graded task's levels, each row of sum 1.

    The temperature divides the logits of the classes, or those of P(level > k): the larger, the less certain. The
    order of a row's classes and the most likely of them, the order of rows by any P(level > k) and the median level
    stay as they are.
    """
    outputs_NK = outputs_NK.astype(np.float64)
    if task.kind == "categorical":
        return softmax(outputs_NK / temperature, axis=1)
    log_above_NK = np.cumsum(log_expit(outputs_NK), axis=1)
    above_NK = np.exp(log_above_NK) if temperature == 1.0 else expit(_logit_of_log(log_above_NK) / temperature)
    edge_N1 = np.ones((len(outputs_NK), 1))
    return -np.diff(above_NK, axis=1, prepend=edge_N1, append=0.0 * edge_N1)


def predicted_level(probabilities_NL: Floats, task: Task) -> Floats:
    """Places (N,) of the levels: an ordinal task's median, the number of k with P(level > k) > ½; the likeliest class
    of a categorical one."""
    if task.kind == "categorical":
        return probabilities_NL.argmax(axis=1).astype(np.float64)
    return (_tails(probabilities_NL) > _HALF).sum(axis=1).astype(np.float64)


def expected_level(probabilities_NL: Floats) -> Floats:
    """Mean places (N,) of the levels: an ordinal task's grade with its fraction."""
    return _tails(probabilities_NL).sum(axis=1)


def output_values(
    outputs_NO: NDArray[np.floating],
    tasks: TaskTable,
    scaler: Unscaling,
    temperatures: Mapping[str, float] = _NO_TEMPERATURES,
) -> Floats:
    """Values (N, T) of network outputs: in a regression task's unit, a binary task's probability, the place of a graded
    one's level.

    Values are clipped to the tasks' plausible ranges. A task without a temperature has 1.
    """
    temperatures_T = np.array([temperatures.get(name, 1.0) for name in tasks.names])
    single_NT = single_outputs(outputs_NO, tasks)
    values_NT = np.where(np.array(tasks.is_binary), expit(single_NT / temperatures_T), scaler.unscale(single_NT))
    for index, (task, columns) in enumerate(zip(tasks, tasks.outputs, strict=True)):
        if task.is_graded:
            probabilities_NL = level_probabilities(outputs_NO[:, columns], task, temperatures.get(task.name, 1.0))
            values_NT[:, index] = predicted_level(probabilities_NL, task)
    return np.clip(values_NT, *plausible_limits(tasks))


def single_outputs(outputs_NO: NDArray[np.floating], tasks: TaskTable) -> Floats:
    """Outputs (N, T) of the tasks that have one; 0 of a graded task, whose outputs are no value."""
    first_T = np.array([columns.start for columns in tasks.outputs])
    return np.where(np.array(tasks.is_graded), 0.0, outputs_NO[:, first_T].astype(np.float64))


def worst_outputs(
    means_PO: Floats, outputs_NO: NDArray[np.floating], patient_N: NDArray[np.int64], tasks: TaskTable
) -> Floats:
    """Outputs (P, O) of patients: `means_PO`, their photographs' means, but of a task that takes a patient's worst
    grade those of the photograph with the highest expected one (the first of equals).

    Args:
        patient_N: 0 … P−1, whose each photograph is; each patient has one.
    """
    found_PO = means_PO
    for task, columns in zip(tasks, tasks.outputs, strict=True):
        if task.patient != "worst":
            continue
        grades_N = expected_level(level_probabilities(outputs_NO[:, columns], task))
        order_N = np.lexsort((-grades_N, patient_N))
        worst_P = order_N[np.unique(patient_N[order_N], return_index=True)[1]]
        found_PO = found_PO.copy() if found_PO is means_PO else found_PO
        found_PO[:, columns] = outputs_NO[worst_P, columns]
    return found_PO


def plausible_limits(tasks: TaskTable) -> tuple[Floats, Floats]:
    """Lowest and highest plausible values (T,), infinite where a task has none."""
    low_T = np.array([-math.inf if task.low is None else task.low for task in tasks])
    high_T = np.array([math.inf if task.high is None else task.high for task in tasks])
    return low_T, high_T


def _tails(probabilities_NL: Floats) -> Floats:
    """P(level > k), (N, L − 1)."""
    return np.cumsum(probabilities_NL[:, :0:-1], axis=1)[:, ::-1]


def _logit_of_log(log_NK: Floats) -> Floats:
    """Logits of probabilities of which the logarithms are given; finite, even of a probability that rounds to 1."""
    return log_NK - np.log(np.maximum(-np.expm1(log_NK), np.finfo(np.float64).tiny))
