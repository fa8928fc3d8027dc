"""From rows of photographs to rows of patients."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


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
