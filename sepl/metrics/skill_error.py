"""How far the mean skill of a few patients may be from that of all: its standard error over resamples of patients.

P patients · T tasks · B the sample itself, then its resamples
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sepl.metrics.bootstrap import resample_patients
from sepl.metrics.measures import skill
from sepl.tasks import TaskTable

Floats = NDArray[np.float64]

_NUM_BOOTSTRAP = 100  # the error is told to a tenth of itself, which is enough to weigh a gain against


def mean_skill_error(
    values_PT: Floats, labels_PT: NDArray[np.floating], medians_T: Sequence[float], tasks: TaskTable
) -> float | None:
    """Standard deviation over patient resamples (Efron 1979) of the mean over tasks of `skill_per_task`.

    The same patients are drawn for all tasks, so that what they have in common stays. None when no task can be judged.
    """
    weights_BP = resample_patients(len(values_PT), _NUM_BOOTSTRAP, seed=0)[1:]
    skills_TB = [
        _resampled(place, values_PT, labels_PT, weights_BP, medians_T, tasks) for place in range(len(tasks.names))
    ]
    judged_TB = np.array([skills_B for skills_B in skills_TB if np.isfinite(skills_B).all()])
    return float(np.std(judged_TB.mean(axis=0))) if len(judged_TB) else None


def _resampled(
    place: int,
    values_PT: Floats,
    labels_PT: NDArray[np.floating],
    weights_BP: Floats,
    medians_T: Sequence[float],
    tasks: TaskTable,
) -> Floats:
    """(B,) NaN for a resample that cannot judge the task, all for a task without labels."""
    known_P = np.isfinite(labels_PT[:, place])
    if not known_P.any():
        return np.full(len(weights_BP), np.nan)
    values_P, labels_P = values_PT[known_P, place], labels_PT[known_P, place].astype(np.float64)
    return skill(tasks.root[place], values_P, labels_P, weights_BP[:, known_P], medians_T[place])
