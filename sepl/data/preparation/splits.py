"""Which patients train, are validated, calibrated and tested, and the scale of the labels of those who train."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sepl.data.cohort.cohort import Cohort, Finding
from sepl.data.dataset.scaling import LabelScaler
from sepl.data.patients.index import index_patients, mean_per_patient
from sepl.data.patients.sealed import SealedPatients
from sepl.data.patients.splits import assign_cohort_splits
from sepl.errors import CohortError


def split_photographs(
    cohort: Cohort, seed: int, sealed: SealedPatients, links: Sequence[tuple[int, int]] = ()
) -> NDArray[np.str_]:
    """(N,) cohort splits of all photographs, refused ones too: who is tested does not hang on what is usable.

    `links` are pairs of photographs that show the same picture.
    """
    return assign_cohort_splits(
        cohort.patients,
        seed=seed,
        options=cohort.split,
        links=links,
        sites=cohort.sites,
        cameras=cohort.cameras,
        labels_NT=cohort.labels_NT,
        tasks=cohort.tasks,
        sealed=sealed.among(cohort.patients),
        keys=cohort.split_keys,
    )


def fit_scaler(cohort: Cohort, train_indices: NDArray[np.int64]) -> LabelScaler:
    """The scaler of the train patients. Raises CohortError when there are none, or none with a label for a task."""
    patients = [cohort.patients[index] for index in train_indices]
    labels_PT = mean_per_patient(cohort.labels_NT[train_indices], index_patients(patients))
    known_T = np.asarray(np.isfinite(labels_PT).any(axis=0))
    unlabelled = [name for name, is_known in zip(cohort.tasks.names, known_T, strict=True) if not is_known]
    if unlabelled:
        raise CohortError(f"{cohort.source}: no train patient has a label for {', '.join(unlabelled)}")
    return LabelScaler.fit(labels_PT, cohort.tasks)


def unseen_levels(cohort: Cohort, train_indices: NDArray[np.int64]) -> tuple[Finding, ...]:
    """A finding for each level that no photograph of a train patient has: a model cannot learn it."""
    return tuple(
        Finding("level without train patients", 0, task.name, f"no train patient has {level!r}: it cannot be learned")
        for index, task in enumerate(cohort.tasks)
        for place, level in enumerate(task.levels)
        if not (cohort.labels_NT[train_indices, index] == place).any()
    )
