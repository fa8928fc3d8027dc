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
    known_NT = np.isfinite(values_NT)
    num_patients = int(patient_index_N.max(initial=-1)) + 1
    sums_PT = np.zeros((num_patients, values_NT.shape[1]))
    counts_PT = np.zeros_like(sums_PT)
    np.add.at(sums_PT, patient_index_N, np.where(known_NT, values_NT, 0.0))
    np.add.at(counts_PT, patient_index_N, known_NT)
    return np.divide(sums_PT, counts_PT, out=np.full_like(sums_PT, np.nan), where=counts_PT > 0)
