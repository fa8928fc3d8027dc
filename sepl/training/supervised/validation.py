"""How good a network is on the validation patients, and what an experiment on priors is told of patients to judge.

N photographs · P patients · T tasks · O outputs · K outputs of one task
"""

import math

import numpy as np
from numpy.typing import NDArray

from sepl.data.dataset.dataset import Photographs
from sepl.data.dataset.scaling import LabelScaler
from sepl.data.patients.index import labels_per_patient
from sepl.errors import DatasetError
from sepl.levels import level_probabilities, predicted_level, single_outputs
from sepl.metrics import skill_per_task
from sepl.metrics.skill_error import mean_skill_error
from sepl.models.predict import patient_outputs
from sepl.tasks import TaskTable
from sepl.training.input.batches import ValidationSet


def validation_skills(
    outputs_NO: NDArray[np.float32], validation: ValidationSet, scaler: LabelScaler, tasks: TaskTable
) -> dict[str, float]:
    """Skill of every task per patient, by name; NaN for a task that these patients cannot judge.

    Raises DatasetError when no task at all can be judged.
    """
    values_PT = values_per_patient(outputs_NO, validation.photographs, scaler, tasks)
    skills_T = skill_per_task(values_PT, validation.labels_PT, scaler.medians, tasks)
    if np.isnan(skills_T).all():
        raise DatasetError(
            f"validation patients ({len(values_PT)} in {', '.join(validation.photographs.cohort_splits)}) should have "
            "labels that differ in at least one task, had none"
        )
    return dict(zip(tasks.names, skills_T.tolist(), strict=True))


def validation_error(
    outputs_NO: NDArray[np.float32], validation: ValidationSet, scaler: LabelScaler, tasks: TaskTable
) -> float | None:
    """Standard error over patients of the mean of `validation_skills`."""
    values_PT = values_per_patient(outputs_NO, validation.photographs, scaler, tasks)
    return mean_skill_error(values_PT, validation.labels_PT, scaler.medians, tasks)


def values_per_patient(
    outputs_NO: NDArray[np.float32], photographs: Photographs, scaler: LabelScaler, tasks: TaskTable
) -> NDArray[np.float64]:
    """Values (P, T) to measure skill by: in units, places of levels, and logits of binary tasks.

    A patient's output is the mean over the photographs, of scaled values and of logits, so that an eye that shows the
    finding clearly outweighs an undecided one; or that of the worst photograph where a task says so. Of a binary task
    only the order counts, and as probabilities two logits might become one.
    """
    outputs_PO = patient_outputs(outputs_NO, photographs.patient_index, tasks)
    values_PT = scaler.unscale(single_outputs(outputs_PO, tasks)).astype(np.float64)
    for place, (task, columns) in enumerate(zip(tasks, tasks.outputs, strict=True)):
        if task.is_graded:
            values_PT[:, place] = predicted_level(level_probabilities(outputs_PO[:, columns], task), task)
    return values_PT


def known_skills(
    outputs_NO: NDArray[np.float32],
    told_NO: NDArray[np.float32] | None,
    validation: ValidationSet,
    scaler: LabelScaler,
    tasks: TaskTable,
) -> dict[str, float]:
    """Skill of every task that is not among the known ones, on the patients of whom all of these are known.

    `told_NO` are the outputs of a network that was told them, None where it takes none. NaN and DatasetError as
    `validation_skills`.
    """
    judge, patient_N = validation.known, validation.photographs.patient_index
    assert judge is not None, "validation with values known"
    told_PO = None if told_NO is None else patient_outputs(told_NO, patient_N, tasks)
    values_PT = judge.values(patient_outputs(outputs_NO, patient_N, tasks), told_PO)
    labels_PT = np.where(np.isfinite(values_PT), validation.labels_PT, np.nan)
    skills_T = skill_per_task(values_PT, labels_PT, scaler.medians, tasks)
    skills = {
        name: skill for name, skill in zip(tasks.names, skills_T.tolist(), strict=True) if name not in judge.known
    }
    if all(math.isnan(skill) for skill in skills.values()):
        raise DatasetError(
            f"validation patients with {', '.join(judge.known)} known should have labels that differ in at least one "
            "other task, had none"
        )
    return skills


def labels_at_hand(
    propagation: str, photographs: Photographs, scaler: LabelScaler, tasks: TaskTable
) -> NDArray[np.floating] | None:
    """The scaled labels (N, T) that a network with this `propagation` takes as an input; None for most.

    Of any cohort split, for `predict_outputs`. 'oracle' is each photograph's own, so that its skill is an upper bound;
    'shuffled' the next patient's. Raises DatasetError when there is no other patient to take them from.
    """
    if propagation not in ("oracle", "shuffled"):
        return None
    scaled_NT = scaler.scale(photographs.labels_NT)
    if propagation == "oracle":
        return scaled_NT
    if photographs.num_patients == 1:
        raise DatasetError(
            f"{', '.join(photographs.cohort_splits)} should have two patients or more, so that shuffled priors are "
            "somebody else's, had 1"
        )
    scaled_PT = labels_per_patient(scaled_NT, photographs.patient_index, tasks)
    return np.roll(scaled_PT, 1, axis=0)[photographs.patient_index]
