"""How good a network is on the validation patients, and what an experiment on priors is told of patients to judge.

N photographs · P patients · T tasks
"""

import math

import numpy as np
from numpy.typing import NDArray

from sepl.data.dataset.dataset import Photographs
from sepl.data.dataset.scaling import LabelScaler
from sepl.errors import DatasetError
from sepl.metrics import skill_per_task
from sepl.tasks import TaskTable
from sepl.training.input.batches import ValidationSet


def validation_skills(
    outputs_NT: NDArray[np.float32], validation: ValidationSet, scaler: LabelScaler, tasks: TaskTable
) -> dict[str, float]:
    """Skill of every task per patient, by name; NaN for a task that these patients cannot judge.

    A patient's output is the mean over the photographs, of scaled values and of logits, so that an eye that shows the
    finding clearly outweighs an undecided one. Raises DatasetError when no task at all can be judged.
    """
    values_PT = scaler.unscale(validation.photographs.per_patient(outputs_NT)).astype(np.float64)
    skills_T = skill_per_task(values_PT, validation.labels_PT, scaler.medians, tasks)
    if np.isnan(skills_T).all():
        raise DatasetError(
            f"validation patients ({len(values_PT)} in {', '.join(validation.photographs.cohort_splits)}) should have "
            "labels that differ in at least one task, had none"
        )
    return dict(zip(tasks.names, skills_T.tolist(), strict=True))


def known_skills(
    outputs_NT: NDArray[np.float32],
    told_NT: NDArray[np.float32] | None,
    validation: ValidationSet,
    scaler: LabelScaler,
    tasks: TaskTable,
) -> dict[str, float]:
    """Skill of every task that is not among the known ones, on the patients of whom all of these are known.

    `told_NT` are the outputs of a network that was told them, None where it takes none. NaN and DatasetError as
    `validation_skills`.
    """
    judge, per_patient = validation.known, validation.photographs.per_patient
    assert judge is not None, "validation with values known"
    values_PT = judge.values(per_patient(outputs_NT), None if told_NT is None else per_patient(told_NT))
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


def labels_at_hand(propagation: str, photographs: Photographs, scaler: LabelScaler) -> NDArray[np.floating] | None:
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
    return np.roll(photographs.per_patient(scaled_NT), 1, axis=0)[photographs.patient_index]
