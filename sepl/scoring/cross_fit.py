"""What known values bring on patients whose own errors say how errors go together, without anybody mending himself.

patients in five parts ── conditioning fitted on four, guard and all ──► values of the fifth

P patients · T tasks · O outputs
"""

import numpy as np
from numpy.typing import NDArray

from sepl.bundle.conditioning import Conditioning
from sepl.bundle.manifest import Intervals
from sepl.data.dataset.scaling import LabelScaler
from sepl.levels import output_values
from sepl.scoring.conditioning import condition, fit_conditioning, probabilities, scale_known, scale_outputs
from sepl.scoring.told import as_known
from sepl.tasks import TaskTable

Floats = NDArray[np.float64]

NUM_PARTS = 5


def cross_condition(
    outputs_PO: Floats,
    labels_PT: Floats,
    known: tuple[str, ...],
    tasks: TaskTable,
    scaler: LabelScaler,
    told_PO: Floats | None = None,
) -> Floats:
    """Values (P, T) of the patients of whom all of `known` is known, NaN of the others.

    In the tasks' units, probabilities of binary ones; the place of the predicted level of graded ones, which nothing
    moves.

    Args:
        outputs_PO: network outputs (scaled values, logits), mean over a patient's photographs.
        labels_PT: in the tasks' units, NaN where absent.
        told_PO: as `outputs_PO`, of a network that was told the labels of `known`; None: it takes none.
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
            outputs_PO[others],
            labels_PT[others],
            tasks,
            scaler,
            Intervals(),
            [known],
            network_inputs=() if told_PO is None else known,
            told=None if told_PO is None else {known: told_PO[others]},
            singles=False,
        )
        known_NT = np.full((len(own), len(tasks)), np.nan)
        known_NT[:, places] = as_known(labels_PT[own], tasks)[:, places]
        values_PT[own] = _values(
            fitted, outputs_PO[own], None if told_PO is None else told_PO[own], known_NT, tasks, scaler
        )
    return values_PT


def _values(
    fitted: Conditioning,
    outputs_NO: Floats,
    told_NO: Floats | None,
    known_NT: Floats,
    tasks: TaskTable,
    scaler: LabelScaler,
) -> Floats:
    scale = fitted.binary_scale
    scaled_NT, scaled_told_NT = (
        scale_outputs(rows_NO, tasks, {}, scale) for rows_NO in (outputs_NO, outputs_NO if told_NO is None else told_NO)
    )
    scaled_known_NT = scale_known(known_NT, tasks, scaler, scale)
    found = condition(fitted, tasks.names, scaled_NT, scaled_known_NT, scaled_told_NT)
    moved_NT = probabilities(found.values_NT, scale)
    binary_NT = np.where(found.is_moved_NT, moved_NT, scale_outputs(outputs_NO, tasks, {}, "probability"))
    values_NT = np.where(np.array(tasks.is_binary), binary_NT, scaler.unscale(found.values_NT))
    is_graded_T = np.array(tasks.is_graded)
    return (
        np.where(is_graded_T, output_values(outputs_NO, tasks, scaler), values_NT) if is_graded_T.any() else values_NT
    )
