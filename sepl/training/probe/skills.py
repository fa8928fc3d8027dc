"""Validation skill of many heads at once: the figures of `validation_skills`, without a walk through each head.

Axes: C head, N photograph, P patient, T task, O output, K case, L control.
"""

import numpy as np
from numpy.typing import NDArray

from sepl.data.dataset.scaling import LabelScaler
from sepl.metrics import skill_per_task
from sepl.tasks import TaskTable
from sepl.training.input.batches import ValidationSet
from sepl.training.supervised.validation import values_per_patient

Floats = NDArray[np.float64]


def stacked_skills(
    outputs_CNO: NDArray[np.float32], validation: ValidationSet, scaler: LabelScaler, tasks: TaskTable
) -> Floats:
    """Skills (C, T) on the validation patients; NaN where a task cannot be judged, and of a head whose outputs are not
    finite."""
    skills_CT = np.full((len(outputs_CNO), len(tasks)), np.nan)
    finite_C = np.isfinite(outputs_CNO).all(axis=(1, 2))
    if any(tasks.is_graded):
        for head in np.flatnonzero(finite_C):
            values_PT = values_per_patient(outputs_CNO[head], validation.photographs, scaler, tasks)
            skills_CT[head] = skill_per_task(values_PT, validation.labels_PT, scaler.medians, tasks)
        return skills_CT
    means_CPT = _per_patient(outputs_CNO[finite_C], validation.photographs.patient_index)
    values_CPT = scaler.unscale(means_CPT).astype(np.float64, copy=False)
    for place in range(len(tasks)):
        skills_CT[finite_C, place] = _task_skills(
            values_CPT[:, :, place],
            validation.labels_PT[:, place],
            scaler.medians[place],
            is_binary=tasks.is_binary[place],
        )
    return skills_CT


def mean_skills(skills_CT: Floats) -> Floats:
    """(C,) over the tasks that could be judged; NaN without any."""
    judged_CT = np.isfinite(skills_CT)
    counts_C = judged_CT.sum(axis=1)
    sums_C = np.where(judged_CT, skills_CT, 0.0).sum(axis=1)
    return np.divide(sums_C, counts_C, out=np.full(len(skills_CT), np.nan), where=counts_C > 0)


def areas(values_CP: Floats, is_case_P: NDArray[np.bool_]) -> Floats:
    """Area (C,) under the ROC curve of each head's scores, ties counted half; NaN with one class only."""
    order_CP = np.argsort(values_CP, axis=1, kind="stable")
    sorted_CP = np.take_along_axis(values_CP, order_CP, axis=1)
    cases_CP = is_case_P[order_CP]
    controls_CQ = np.pad(np.cumsum(~cases_CP, axis=1), ((0, 0), (1, 0)))  # below each place; the last is all
    first_CP, last_CP = _tie_ends(sorted_CP)
    below_CP = np.take_along_axis(controls_CQ, first_CP, axis=1)
    up_to_CP = np.take_along_axis(controls_CQ, last_CP + 1, axis=1)
    wins_C = (cases_CP * 0.5 * (below_CP + up_to_CP)).sum(axis=1)
    num_cases = int(is_case_P.sum())
    num_pairs = num_cases * (len(is_case_P) - num_cases)
    return wins_C / num_pairs if num_pairs else np.full(len(values_CP), np.nan)


def _tie_ends(sorted_CP: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first and the last place of the equal values that each value is among."""
    num_places = sorted_CP.shape[1]
    places_P = np.arange(num_places)
    rises_CP = np.diff(sorted_CP, axis=1) > 0
    opens_CP = np.pad(rises_CP, ((0, 0), (1, 0)), constant_values=True)
    closes_CP = np.pad(rises_CP, ((0, 0), (0, 1)), constant_values=True)
    first_CP = np.maximum.accumulate(np.where(opens_CP, places_P, 0), axis=1)
    last_CP = np.minimum.accumulate(np.where(closes_CP, places_P, num_places - 1)[:, ::-1], axis=1)[:, ::-1]
    return first_CP, last_CP


def _per_patient(outputs_CNO: NDArray[np.float32], patient_N: NDArray[np.int64]) -> Floats:
    """(C, P, O): the mean over a patient's photographs."""
    order_N = np.argsort(patient_N, kind="stable")
    starts_P = np.searchsorted(patient_N[order_N], np.arange(int(patient_N.max()) + 1))
    sums_CPO = np.add.reduceat(outputs_CNO[:, order_N].astype(np.float64), starts_P, axis=1)
    return sums_CPO / np.bincount(patient_N)[:, None]


def _task_skills(values_CP: Floats, labels_P: Floats, median: float, *, is_binary: bool) -> Floats:
    """(C,), as `sepl.metrics.measures.skill` of all present patients once each."""
    present_P = np.isfinite(labels_P)
    nobody = np.full(len(values_CP), np.nan)
    if not present_P.any():
        return nobody
    values_CP, labels_P = values_CP[:, present_P], labels_P[present_P]
    if is_binary:
        return 2.0 * areas(values_CP, labels_P > 0.5) - 1.0
    reference = float(np.abs(median - labels_P).mean())
    return 1.0 - np.abs(values_CP - labels_P).mean(axis=1) / reference if reference > 0 else nobody
