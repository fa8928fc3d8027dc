"""From network outputs to calibrated values: intervals for regression tasks, probabilities for binary ones.

Intervals are split conformal (Papadopoulos et al. 2002; Lei et al. 2018): with n calibration patients the half width is
the ⌈(n+1)·confidence⌉-th smallest absolute residual, so that the interval of a further exchangeable patient covers the
truth with probability at least `confidence`. Probabilities are temperature scaled (Guo et al. 2017). Neither changes a
ranking.

    P patients · N photographs or patients · T tasks
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from sepl.bundle.format import Intervals
from sepl.data.dataset.scaling import LabelScaler
from sepl.levels import output_values, plausible_limits
from sepl.tasks import Task, TaskTable

Floats = NDArray[np.float64]

MIN_PATIENTS_PER_CLASS = 5
"""With fewer, a temperature follows the accident of a few patients; it stays 1."""

TEMPERATURE_RANGE = (0.1, 10.0)
"""Classes that happen to be separable would drive it to 0, an uninformative logit to infinity."""


@dataclass(frozen=True)
class CalibratedValues:
    """Values in the tasks' units and the ends of their intervals; NaN where a task has no interval."""

    values_NT: Floats
    low_NT: Floats
    high_NT: Floats


def calibrate(
    outputs_PT: NDArray[np.floating],
    labels_PT: Floats,
    tasks: TaskTable,
    scaler: LabelScaler,
    confidence: float = 0.9,
) -> Intervals:
    """Half widths and temperatures from calibration patients, who neither trained nor chose the model.

    Args:
        outputs_PT: network outputs (scaled values, logits), mean over a patient's photographs.
        labels_PT: labels in the tasks' units, NaN where absent.

    Returns:
        A half width is None ("not calibrated") when there are too few labels for a finite interval: fewer than
        confidence / (1 − confidence), 9 for 90 %.
    """
    values_PT = output_values(outputs_PT, tasks, scaler)
    half_widths, temperatures = {}, {}
    for index, task in enumerate(tasks):
        present = np.isfinite(labels_PT[:, index])
        labels_P = labels_PT[present, index]
        if task.kind == "binary":
            temperatures[task.name] = fit_temperature(outputs_PT[present, index].astype(np.float64), labels_P)
        else:
            half_widths[task.name] = conformal_half_width(np.abs(values_PT[present, index] - labels_P), confidence)
    return Intervals(confidence=confidence, half_widths=half_widths, temperatures=temperatures)


def conformal_half_width(residuals_P: Floats, confidence: float) -> float | None:
    """The finite-sample quantile of absolute residuals; None when no finite interval has this confidence."""
    num_patients = len(residuals_P)
    rank = math.ceil((num_patients + 1) * confidence - 1e-9)  # 10 · 0.7 should be 7, not 8
    if num_patients == 0 or rank > num_patients:
        return None
    return float(np.partition(residuals_P, rank - 1)[rank - 1])


def fit_temperature(logits_P: Floats, labels_P: Floats) -> float:
    """The temperature with the lowest log loss; 1 when a class has too few patients to tell."""
    num_positive = int((labels_P > 0.5).sum())
    if min(num_positive, len(labels_P) - num_positive) < MIN_PATIENTS_PER_CLASS:
        return 1.0
    signed_P = np.where(labels_P > 0.5, logits_P, -logits_P)

    def log_loss(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, -signed_P * math.exp(-log_temperature)).mean())

    # convex in 1/temperature, hence with one minimum in its logarithm too
    low, high = (math.log(limit) for limit in TEMPERATURE_RANGE)
    return math.exp(minimize_scalar(log_loss, bounds=(low, high), method="bounded").x)


def calibrated_values(
    outputs_NT: NDArray[np.floating], tasks: TaskTable, scaler: LabelScaler, intervals: Intervals
) -> CalibratedValues:
    """Values, probabilities and intervals of network outputs.

    Everything is clipped to the tasks' plausible ranges: labels lie inside them, so that clipping loses no coverage. A
    binary task has a probability and no interval.
    """
    values_NT = output_values(outputs_NT, tasks, scaler, intervals.temperatures)
    half_widths_T = np.array([_half_width(task, intervals) for task in tasks])
    low_T, high_T = plausible_limits(tasks)
    return CalibratedValues(
        values_NT,
        np.clip(values_NT - half_widths_T, low_T, high_T),
        np.clip(values_NT + half_widths_T, low_T, high_T),
    )


def _half_width(task: Task, intervals: Intervals) -> float:
    half_width = intervals.half_widths.get(task.name)
    return math.nan if half_width is None else half_width
