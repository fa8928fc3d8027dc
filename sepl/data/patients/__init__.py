"""Whose a photograph is: pseudonyms, cohort splits, seals, rows to patients."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = [
    "COHORT_SPLITS",
    "IdOptions",
    "Pseudonyms",
    "SealedPatients",
    "SplitOptions",
    "assign_cohort_splits",
    "days_since_first_visit",
    "index_patients",
    "labels_per_patient",
    "mean_per_patient",
]

if TYPE_CHECKING:
    from sepl.data.patients.ids import IdOptions
    from sepl.data.patients.index import index_patients, labels_per_patient, mean_per_patient
    from sepl.data.patients.pseudonyms import Pseudonyms
    from sepl.data.patients.sealed import SealedPatients
    from sepl.data.patients.splits import COHORT_SPLITS, SplitOptions, assign_cohort_splits
    from sepl.data.patients.visit_days import days_since_first_visit
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "ids": ["IdOptions"],
            "index": ["index_patients", "labels_per_patient", "mean_per_patient"],
            "pseudonyms": ["Pseudonyms"],
            "sealed": ["SealedPatients"],
            "splits": ["COHORT_SPLITS", "SplitOptions", "assign_cohort_splits"],
            "visit_days": ["days_since_first_visit"],
        },
    )
