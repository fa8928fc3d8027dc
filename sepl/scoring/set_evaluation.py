"""How good sets of levels are: whether they hold the truth, and how large they are.

P patients · L levels
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sepl.bundle.skills import SET_SIZE
from sepl.metrics import Estimate, Evaluation
from sepl.metrics.bootstrap import estimate, resample_patients
from sepl.metrics.weighted import weighted_mean
from sepl.scoring.level_sets import CalibratedLevels
from sepl.tasks import TaskTable

Floats = NDArray[np.float64]


def sets_that_hold(
    levels: Sequence[CalibratedLevels], labels_PT: Floats, tasks: TaskTable
) -> Mapping[str, NDArray[np.bool_]]:
    """By graded task with sets, whether each patient's (P,) holds the label; false where there is no label.

    Args:
        levels: of the patients, as `calibrated_values` has them.
        labels_PT: in units, places of levels.
    """
    found = {}
    for row in levels:
        if row.in_set_NL is not None:
            labels_P = labels_PT[:, tasks.index(row.task.name)]
            places_P1 = np.nan_to_num(labels_P).astype(np.int64)[:, None]
            found[row.task.name] = np.take_along_axis(row.in_set_NL, places_P1, axis=1)[:, 0] & np.isfinite(labels_P)
    return found


def with_set_sizes(
    evaluation: Evaluation, levels: Sequence[CalibratedLevels], labels_PT: Floats, tasks: TaskTable, seed: int = 0
) -> Evaluation:
    """The evaluation with `SET_SIZE` among the measures of tasks with sets, over the patients who have a label.

    Resamples are those of `evaluate` with the same seed.
    """
    sized = {row.task.name: row.in_set_NL.sum(axis=1) for row in levels if row.in_set_NL is not None}
    if not sized:
        return evaluation
    weights_BP = resample_patients(len(labels_PT), evaluation.num_bootstrap, seed)
    sizes = {name: _mean_size(size_P, labels_PT[:, tasks.index(name)], weights_BP) for name, size_P in sized.items()}
    rows = (
        row.model_copy(update={"measures": {**row.measures, SET_SIZE: sizes[row.name]}}) if row.name in sizes else row
        for row in evaluation.tasks
    )
    return evaluation.model_copy(update={"tasks": tuple(rows)})


def _mean_size(size_P: NDArray[np.int64], labels_P: Floats, weights_BP: Floats) -> Estimate:
    present = np.isfinite(labels_P)
    return estimate(weighted_mean(size_P[present].astype(np.float64), weights_BP[:, present]))
