"""Measures of tasks whose labels are levels: quadratic kappa, accuracies, and how levels are mistaken for others.

Values and labels are places of levels, 0, 1, …; every measure takes weights as those of `measures` do.

    P patients · B resamples · C classes that occur · L levels
"""

import numpy as np
from numpy.typing import NDArray

from sepl.metrics.weighted import nan_where, weighted_mean
from sepl.tasks import Task

Floats = NDArray[np.float64]


def quadratic_kappa(values_P: Floats, labels_P: Floats, weights_BP: Floats) -> Floats:
    """Agreement beyond chance, disagreement growing with the square of the distance (Cohen 1968).

    1 − Σ (v − l)² / Σ over independent pairs of (v − l)², which sums give without a table of the levels (it is the
    concordance of Lin 1989). NaN where all values and labels are one level.
    """
    total_B = weights_BP.sum(axis=1)
    values_B, labels_B = weights_BP @ values_P, weights_BP @ labels_P
    squares_B = weights_BP @ (values_P**2 + labels_P**2)
    expected_B = total_B * squares_B - 2 * values_B * labels_B
    return 1.0 - total_B * (weights_BP @ (values_P - labels_P) ** 2) / nan_where(expected_B <= 0, expected_B)


def accuracy(values_P: Floats, labels_P: Floats, weights_BP: Floats) -> Floats:
    """Share of patients given their level."""
    return weighted_mean((values_P == labels_P).astype(np.float64), weights_BP)


def balanced_accuracy(values_P: Floats, labels_P: Floats, weights_BP: Floats) -> Floats:
    """Mean over the classes that occur of the share of their patients given their class."""
    hits_BC, counts_BC = _by_class(values_P, labels_P, weights_BP)
    shares_BC = hits_BC / np.maximum(counts_BC, 1.0)
    num_B = (counts_BC > 0).sum(axis=1)
    return shares_BC.sum(axis=1) / nan_where(num_B == 0, num_B.astype(np.float64))


def num_classes(labels_P: Floats, weights_BP: Floats) -> Floats:
    """(B,) how many different levels the patients of each resample have."""
    return (_by_class(labels_P, labels_P, weights_BP)[1] > 0).sum(axis=1).astype(np.float64)


def grade_skill(task: Task, values_P: Floats, labels_P: Floats, weights_BP: Floats) -> Floats:
    """Quadratic kappa of an ordinal task; (balanced accuracy − chance) / (1 − chance) of a categorical one, chance
    being one over the number of classes that occur. NaN of patients who all have one level."""
    num_B = num_classes(labels_P, weights_BP)
    if task.kind == "ordinal":
        return nan_where(num_B < 2, quadratic_kappa(values_P, labels_P, weights_BP))
    num_B = nan_where(num_B < 2, num_B)
    return (balanced_accuracy(values_P, labels_P, weights_BP) * num_B - 1.0) / (num_B - 1.0)


def count_confusions(values_P: Floats, labels_P: Floats, num_levels: int) -> tuple[tuple[int, ...], ...]:
    """Patients by level, rows the true one, columns the predicted one; NaN left out."""
    present = np.isfinite(values_P) & np.isfinite(labels_P)
    cells = labels_P[present].astype(np.int64) * num_levels + values_P[present].astype(np.int64)
    counts_LL = np.bincount(cells, minlength=num_levels**2).reshape(num_levels, num_levels)
    return tuple(tuple(row) for row in counts_LL.tolist())


def usual_level(labels_P: Floats) -> float:
    """The most frequent level, the first of equals; 0 of nobody: what a predictor says that looks at nothing."""
    present = labels_P[np.isfinite(labels_P)].astype(np.int64)
    return float(np.bincount(present, minlength=1).argmax())


def _by_class(values_P: Floats, labels_P: Floats, weights_BP: Floats) -> tuple[Floats, Floats]:
    """(B, C) weight of the patients of each class given it, and of all of them."""
    is_class_PC = labels_P[:, None] == np.unique(labels_P)
    is_hit_PC = is_class_PC & (values_P == labels_P)[:, None]
    return weights_BP @ is_hit_PC.astype(np.float64), weights_BP @ is_class_PC.astype(np.float64)
