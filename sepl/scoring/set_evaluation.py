"""How good sets of levels are: how often they hold the truth, and how large they are.

P patients · B resamples · L levels
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sepl.metrics import Estimate, Evaluation
from sepl.metrics.bootstrap import estimate, resample_patients
from sepl.scoring.level_sets import CalibratedLevels
from sepl.tasks import TaskTable

Floats = NDArray[np.float64]
SET_SIZE = "set_size"
"""Among a graded task's measures: the mean number of levels in a patient's set."""


def with_sets(
    evaluation: Evaluation, levels: Sequence[CalibratedLevels], labels_PT: Floats, tasks: TaskTable, seed: int = 0
) -> Evaluation:
    """The evaluation with what the sets of its graded tasks are worth: `interval_coverage` and `SET_SIZE`.

    Resamples are those of `evaluate` with the same seed. A task without sets, or without labels, stays as it is.

    Args:
        levels: of the patients, as `calibrated_values` has them.
        labels_PT: in units, places of levels.
    """
    judged: dict[str, tuple[Estimate, Estimate]] = {}
    if not levels:
        return evaluation
    weights_BP = resample_patients(len(labels_PT), evaluation.num_bootstrap, seed)
    for row in levels:
        labels_P = labels_PT[:, tasks.index(row.task.name)]
        if row.in_set_NL is not None and np.isfinite(labels_P).any():
            judged[row.task.name] = _judge(row.in_set_NL, labels_P, weights_BP)
    rows = [
        task.model_copy(
            update={
                "interval_coverage": judged[task.name][0],
                "measures": {**task.measures, SET_SIZE: judged[task.name][1]},
            }
        )
        if task.name in judged
        else task
        for task in evaluation.tasks
    ]
    return evaluation.model_copy(update={"tasks": tuple(rows)})


def _judge(in_set_PL: NDArray[np.bool_], labels_P: Floats, weights_BP: Floats) -> tuple[Estimate, Estimate]:
    """Share of labels in their sets and mean size of the sets, of the patients who have a label."""
    present = np.isfinite(labels_P)
    own_PL, places_P = in_set_PL[present], np.rint(labels_P[present]).astype(np.int64)
    holds_P = np.take_along_axis(own_PL, places_P[:, None], axis=1)[:, 0]
    weights = weights_BP[:, present]
    return _mean(holds_P.astype(np.float64), weights), _mean(own_PL.sum(axis=1).astype(np.float64), weights)


def _mean(values_P: Floats, weights_BP: Floats) -> Estimate:
    total_B = weights_BP.sum(axis=1)
    return estimate(weights_BP @ values_P / np.where(total_B == 0, np.nan, total_B))
