"""When a photograph was taken, without saying when: days since the patient's first visit."""

from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from sepl.data.patients.index import index_patients


def days_since_first_visit(visits: Sequence[str], patients: Sequence[str]) -> NDArray[np.float64]:
    """(N,) days between a photograph's visit and the first dated one of its patient; NaN where it has no date.

    Args:
        visits: Of each photograph, YYYY-MM-DD; any other text, a visit's number for instance, is no date.
        patients: Of each photograph.
    """
    days = {text: _day_of(text) for text in set(visits)}
    day_N = np.array([days[text] for text in visits], np.float64)
    patient_N = index_patients(patients)
    first_P = np.full(int(patient_N.max(initial=-1)) + 1, np.inf)
    np.fmin.at(first_P, patient_N, day_N)
    return day_N - first_P[patient_N]


def _day_of(text: str) -> float:
    try:
        return float(date.fromisoformat(text).toordinal()) if len(text) == len("2020-01-31") else np.nan
    except ValueError:
        return np.nan
