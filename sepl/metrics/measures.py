"""Measures of one task over weighted patients.

Every measure takes weights_BP, one row a bootstrap resample (how often each patient was drawn), and returns one figure
a row, so that a thousand resamples are a few matrix products. A patient without a label has weight zero.

    P patients · B resamples · T tasks
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from sepl.metrics.grades import accuracy, balanced_accuracy, grade_skill, quadratic_kappa
from sepl.metrics.weighted import nan_where, weighted_mean
from sepl.tasks import Task, TaskTable

Floats = NDArray[np.float64]
Measure = Callable[[Floats, Floats, Floats], Floats]
"""values_P, labels_P, weights_BP → figures_B."""


def mae(values_P: Floats, labels_P: Floats, weights_BP: Floats) -> Floats:
    """Mean absolute error in the task's unit."""
    return weighted_mean(np.abs(values_P - labels_P), weights_BP)


def rmse(values_P: Floats, labels_P: Floats, weights_BP: Floats) -> Floats:
    """Root mean squared error in the task's unit."""
    return np.sqrt(weighted_mean((values_P - labels_P) ** 2, weights_BP))


def r2(values_P: Floats, labels_P: Floats, weights_BP: Floats) -> Floats:
    """Share of variance explained, 1 − SSE/SST, over the same patients."""
    mean_B = weighted_mean(labels_P, weights_BP)
    variance_B = weighted_mean(labels_P**2, weights_BP) - mean_B**2
    return 1.0 - weighted_mean((values_P - labels_P) ** 2, weights_BP) / nan_where(variance_B <= 0, variance_B)


def brier(values_P: Floats, labels_P: Floats, weights_BP: Floats) -> Floats:
    """Mean squared difference between probability and outcome (Brier 1950)."""
    return weighted_mean((values_P - labels_P) ** 2, weights_BP)


def auc(values_P: Floats, labels_P: Floats, weights_BP: Floats) -> Floats:
    """Area under the ROC curve of the scores, ties counted half; NaN where a resample holds one class only."""
    order = np.argsort(values_P, kind="stable")
    first_of_tie = np.flatnonzero(np.r_[True, np.diff(values_P[order]) > 0])
    is_case = labels_P[order] > 0.5
    controls_BG = np.add.reduceat(weights_BP[:, order] * ~is_case, first_of_tie, axis=1)
    cases_BG = np.add.reduceat(weights_BP[:, order] * is_case, first_of_tie, axis=1)
    below_BG = np.cumsum(controls_BG, axis=1) - 0.5 * controls_BG
    pairs_B = cases_BG.sum(axis=1) * controls_BG.sum(axis=1)
    return (cases_BG * below_BG).sum(axis=1) / nan_where(pairs_B == 0, pairs_B)


def skill(task: Task, values_P: Floats, labels_P: Floats, weights_BP: Floats, median: float) -> Floats:
    """1 − MAE/MAE(median of train) for a regression task, 2·AUC − 1 for a binary one, `grade_skill` of a graded one.

    0 is what a predictor that never looks at the photograph reaches, 1 is perfect; NaN where it is not defined.
    """
    if task.kind == "binary":
        return 2.0 * auc(values_P, labels_P, weights_BP) - 1.0
    if task.is_graded:
        return grade_skill(task, values_P, labels_P, weights_BP)
    reference_B = mae(np.full_like(labels_P, median), labels_P, weights_BP)
    return 1.0 - mae(values_P, labels_P, weights_BP) / nan_where(reference_B <= 0, reference_B)


def skill_per_task(values_PT: Floats, labels_PT: Floats, medians_T: Sequence[float], tasks: TaskTable) -> Floats:
    """Skill of every task on the patients that have its label.

    Args:
        values_PT: predictions in the tasks' units; a binary task's probability or logit (only its order matters), the
            place of a graded task's level.
        labels_PT: labels in the tasks' units, NaN where absent.
        medians_T: medians of the training labels; not read of binary and graded tasks.

    Returns:
        (T,) skills; NaN for a task without labels, with one class only, or without spread.
    """
    skills_T = np.full(len(tasks), np.nan)
    for index, task in enumerate(tasks):
        present = np.isfinite(labels_PT[:, index])
        if present.any():
            values_P, labels_P = values_PT[present, index].astype(float), labels_PT[present, index]
            skills_T[index] = skill(task, values_P, labels_P, np.ones((1, len(labels_P))), medians_T[index])[0]
    return skills_T


def skill_resamples(
    values_PT: Floats, labels_PT: Floats, medians_T: Sequence[float], tasks: TaskTable, weights_BP: Floats
) -> Floats:
    """(B, T) skill of every task on every resample of the patients that have its label; NaN where there are none."""
    skills_BT = np.full((len(weights_BP), len(tasks)), np.nan)
    for index, task in enumerate(tasks):
        present = np.isfinite(labels_PT[:, index]) & np.isfinite(values_PT[:, index])
        if present.any():
            values_P, labels_P = values_PT[present, index].astype(float), labels_PT[present, index]
            skills_BT[:, index] = skill(task, values_P, labels_P, weights_BP[:, present], medians_T[index])
    return skills_BT


def measures_of(task: Task, median: float) -> dict[str, Measure]:
    """The measures that a reader of this task's kind expects, beside its skill.

    `median` is what the constant predictor says: of a graded task the most frequent level, otherwise the median.
    """
    if task.kind == "binary":
        return {"auc": auc, "brier": brier}

    def usual_accuracy(values_P: Floats, labels_P: Floats, weights_BP: Floats) -> Floats:
        return accuracy(np.full_like(values_P, median), labels_P, weights_BP)

    if task.kind == "categorical":
        return {"balanced_accuracy": balanced_accuracy, "accuracy": accuracy, "usual_accuracy": usual_accuracy}

    def median_mae(values_P: Floats, labels_P: Floats, weights_BP: Floats) -> Floats:
        return mae(np.full_like(values_P, median), labels_P, weights_BP)

    if task.kind == "ordinal":
        return {
            "kappa": quadratic_kappa,
            "accuracy": accuracy,
            "usual_accuracy": usual_accuracy,
            "mae": mae,
            "usual_mae": median_mae,
        }
    return {"mae": mae, "median_mae": median_mae, "rmse": rmse, "r2": r2}


def mean_error(values_P: Floats, labels_P: Floats, is_binary: bool) -> float:
    """Mean absolute error, or Brier score of probabilities, where both are there; infinite of nobody."""
    off_P = np.abs(values_P - labels_P)[np.isfinite(values_P) & np.isfinite(labels_P)]
    if not len(off_P):
        return float("inf")
    return float((off_P**2).mean() if is_binary else off_P.mean())
