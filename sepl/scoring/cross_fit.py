"""What known values bring on patients whose own errors say how errors go together, without anybody mending himself.

patients in five parts ── conditioning fitted on four, guard and all ──► values of the fifth

P patients · T tasks
"""

import numpy as np
from numpy.typing import NDArray

from sepl.bundle.conditioning import Conditioning
from sepl.bundle.manifest import Intervals
from sepl.data.dataset.scaling import LabelScaler
from sepl.scoring.conditioning import condition, fit_conditioning, probabilities, scale_known, scale_outputs
from sepl.scoring.told import as_known
from sepl.tasks import TaskTable

Floats = NDArray[np.float64]

NUM_PARTS = 5


def cross_condition(
    outputs_PT: Floats,
    labels_PT: Floats,
    known: tuple[str, ...],
    tasks: TaskTable,
    scaler: LabelScaler,
    told_PT: Floats | None = None,
) -> Floats:
    """Values (P, T) of the patients of whom all of `known` is known, NaN of the others.

    In the tasks' units, probabilities of binary ones.

    Args:
        outputs_PT: network outputs (scaled values, logits), mean over a patient's photographs.
        labels_PT: in the tasks' units, NaN where absent.
        told_PT: as `outputs_PT`, of a network that was told the labels of `known`; None: it takes none.
    """
    values_PT = np.full(labels_PT.shape, np.nan)
    places = [tasks.index(name) for name in known]
    has_all_P = np.isfinite(labels_PT[:, places]).all(axis=1)
    part_P = np.arange(len(labels_PT)) % NUM_PARTS
    for part in range(NUM_PARTS):
        others, own = np.flatnonzero(part_P != part), np.flatnonzero((part_P == part) & has_all_P)
        if not len(own):
            continue
        fitted = fit_conditioning(
            outputs_PT[others],
            labels_PT[others],
            tasks,
            scaler,
            Intervals(),
            [known],
            network_inputs=() if told_PT is None else known,
            told=None if told_PT is None else {known: told_PT[others]},
            singles=False,
        )
        known_NT = np.full((len(own), len(tasks)), np.nan)
        known_NT[:, places] = as_known(labels_PT[own], tasks)[:, places]
        values_PT[own] = _values(
            fitted, outputs_PT[own], None if told_PT is None else told_PT[own], known_NT, tasks, scaler
        )
    return values_PT


def _values(
    fitted: Conditioning,
    outputs_NT: Floats,
    told_NT: Floats | None,
    known_NT: Floats,
    tasks: TaskTable,
    scaler: LabelScaler,
) -> Floats:
    scale = fitted.binary_scale
    scaled_NT, scaled_told_NT = (
        scale_outputs(rows_NT, tasks, {}, scale) for rows_NT in (outputs_NT, outputs_NT if told_NT is None else told_NT)
    )
    scaled_known_NT = scale_known(known_NT, tasks, scaler, scale)
    found = condition(fitted, tasks.names, scaled_NT, scaled_known_NT, scaled_told_NT)
    moved_NT = probabilities(found.values_NT, scale)
    binary_NT = np.where(found.is_moved_NT, moved_NT, scale_outputs(outputs_NT, tasks, {}, "probability"))
    return np.where(np.array(tasks.is_binary), binary_NT, scaler.unscale(found.values_NT))
