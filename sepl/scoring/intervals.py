"""From network outputs to calibrated values: intervals of regression tasks, probabilities of binary ones.

Intervals are split conformal (Papadopoulos et al. 2002; Lei et al. 2018): with n calibration patients the half width is
the ⌈(n+1)·confidence⌉-th smallest absolute residual, so that the interval of a further exchangeable patient covers the
truth with probability at least `confidence`; sets of levels (`level_sets`) do too. Probabilities are temperature scaled
(Guo et al. 2017). Neither changes a ranking.

    P patients · N photographs or patients · T tasks · O outputs, T where no task is graded
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sepl.bundle.format import Intervals
from sepl.data.dataset.scaling import LabelScaler
from sepl.levels import output_values, plausible_limits
from sepl.scoring.level_sets import (
    CalibratedLevels,
    best_temperature,
    calibrated_levels,
    fit_level_temperature,
    true_level_scores,
)
from sepl.tasks import Task, TaskTable

Floats = NDArray[np.float64]

MIN_PATIENTS_PER_CLASS = 5
"""With fewer, a temperature follows the accident of a few patients; it stays 1."""


@dataclass(frozen=True)
class CalibratedValues:
    """Values in the tasks' units and the ends of their intervals; NaN where a task has no interval."""

    values_NT: Floats
    """Of a graded task the place of its level."""
    low_NT: Floats
    high_NT: Floats
    levels: tuple[CalibratedLevels, ...] = ()
    """Of the graded tasks, in their order."""


def calibrate(
    outputs_PO: NDArray[np.floating],
    labels_PT: Floats,
    tasks: TaskTable,
    scaler: LabelScaler,
    confidence: float = 0.9,
) -> Intervals:
    """Half widths, temperatures, thresholds of sets from calibration patients, who neither trained nor chose the model.

    Args:
        outputs_PO: network outputs (scaled values, logits), mean over a patient's photographs.
        labels_PT: labels in the tasks' units, places of levels, NaN where absent.

    Returns:
        A half width or threshold is None ("not calibrated") when there are too few labels for a finite interval: fewer
        than confidence / (1 − confidence), 9 for 90 %.
    """
    values_PT = output_values(outputs_PO, tasks, scaler)
    half_widths, temperatures, thresholds = {}, {}, {}
    for index, (task, columns) in enumerate(zip(tasks, tasks.outputs, strict=True)):
        present = np.isfinite(labels_PT[:, index])
        labels_P, outputs_PK = labels_PT[present, index], outputs_PO[present, columns]
        if task.is_graded:
            temperatures[task.name] = fit_level_temperature(outputs_PK, labels_P, task)
            thresholds[task.name] = conformal_quantile(true_level_scores(outputs_PK, labels_P, task), confidence)
        elif task.kind == "binary":
            temperatures[task.name] = fit_temperature(outputs_PK[:, 0].astype(np.float64), labels_P)
        else:
            half_widths[task.name] = conformal_quantile(np.abs(values_PT[present, index] - labels_P), confidence)
    return Intervals(
        confidence=confidence, half_widths=half_widths, temperatures=temperatures, set_thresholds=thresholds
    )


def conformal_quantile(scores_P: Floats, confidence: float) -> float | None:
    """The finite-sample quantile of scores, such as absolute residuals; None when no finite one has this confidence."""
    num_patients = len(scores_P)
    rank = math.ceil((num_patients + 1) * confidence - 1e-9)  # 10 · 0.7 should be 7, not 8
    if num_patients == 0 or rank > num_patients:
        return None
    return float(np.partition(scores_P, rank - 1)[rank - 1])


def fit_temperature(logits_P: Floats, labels_P: Floats) -> float:
    """The temperature with the lowest log loss; 1 when a class has too few patients to tell."""
    num_positive = int((labels_P > 0.5).sum())
    if min(num_positive, len(labels_P) - num_positive) < MIN_PATIENTS_PER_CLASS:
        return 1.0
    signed_P = np.where(labels_P > 0.5, logits_P, -logits_P)

    def log_loss(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, -signed_P * math.exp(-log_temperature)).mean())

    # convex in 1/temperature, hence with one minimum in its logarithm too
    return best_temperature(log_loss)


def calibrated_values(
    outputs_NO: NDArray[np.floating], tasks: TaskTable, scaler: LabelScaler, intervals: Intervals
) -> CalibratedValues:
    """Values, probabilities, intervals and sets of levels of network outputs.

    Everything is clipped to the tasks' plausible ranges: labels lie inside them, so that clipping loses no coverage. A
    binary or graded task has no interval.
    """
    values_NT = output_values(outputs_NO, tasks, scaler, intervals.temperatures)
    half_widths_T = np.array([_half_width(task, intervals) for task in tasks])
    low_T, high_T = plausible_limits(tasks)
    return CalibratedValues(
        values_NT,
        np.clip(values_NT - half_widths_T, low_T, high_T),
        np.clip(values_NT + half_widths_T, low_T, high_T),
        tuple(
            calibrated_levels(outputs_NO[:, columns], task, intervals)
            for task, columns in zip(tasks, tasks.outputs, strict=True)
            if task.is_graded
        ),
    )


def _half_width(task: Task, intervals: Intervals) -> float:
    half_width = intervals.half_widths.get(task.name)
    return math.nan if half_width is None else half_width
