"""From rows of photographs to rows of patients."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from sepl.tasks import Task


def index_patients(patients: Sequence[str] | NDArray[np.str_]) -> NDArray[np.int64]:
    """(N,) 0 … P−1: the patient of each photograph, numbered by first appearance."""
    _, first, inverse = np.unique(np.asarray(patients, np.str_), return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def mean_per_patient(values_NT: NDArray[np.floating], patient_index_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """(P, T): the mean over a patient's photographs, NaN left out; NaN where a patient has no value."""
    num_patients = int(patient_index_N.max(initial=-1)) + 1
    means_PT = np.full((num_patients, values_NT.shape[1]), np.nan)
    for task, values_N in enumerate(values_NT.T):
        present = np.isfinite(values_N)
        counts_P = np.bincount(patient_index_N[present], minlength=num_patients)
        sums_P = np.bincount(patient_index_N[present], weights=values_N[present], minlength=num_patients)
        np.divide(sums_P, counts_P, out=means_PT[:, task], where=counts_P > 0)
    return means_PT


def labels_per_patient(
    labels_NT: NDArray[np.floating], patient_index_N: NDArray[np.int64], tasks: Iterable[Task]
) -> NDArray[np.float64]:
    """(P, T): a patient's labels, those of their photographs taken together; NaN where none of them has the label.

    The mean, but of a graded task always one of its levels: of an ordinal one the mean grade, rounded and halves to the
    graver, or the worst where the task says so; of a categorical one the most frequent class, the first of equals.
    """
    labels_PT = mean_per_patient(labels_NT, patient_index_N)
    for index, task in enumerate(tasks):
        if task.is_graded:
            labels_PT[:, index] = _level_per_patient(labels_NT[:, index], patient_index_N, task)
    return labels_PT


def _level_per_patient(
    labels_N: NDArray[np.floating], patient_index_N: NDArray[np.int64], task: Task
) -> NDArray[np.float64]:
    num_patients, num_levels = int(patient_index_N.max(initial=-1)) + 1, len(task.levels)
    present = np.isfinite(labels_N)
    cells = patient_index_N[present] * num_levels + labels_N[present].astype(np.int64)
    counts_PL = np.bincount(cells, minlength=num_patients * num_levels).reshape(num_patients, num_levels)
    if task.kind == "categorical":
        level_P = counts_PL.argmax(axis=1)
    elif task.patient == "worst":
        level_P = num_levels - 1 - (counts_PL[:, ::-1] > 0).argmax(axis=1)
    else:
        total_P = np.maximum(counts_PL.sum(axis=1), 1)
        level_P = np.floor(counts_PL @ np.arange(num_levels) / total_P + 0.5)
    return np.where(counts_PL.any(axis=1), level_P, np.nan)
