"""Which patients train, validate, calibrate and test.

A patient's cohort split depends on the patient's id and the seed alone, so it stays when patients are added, and a
patient seen again next year is on the same side.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

COHORT_SPLITS = ("train", "validation", "calibration", "test")
COHORT_FRACTIONS = {"train": 0.65, "validation": 0.10, "calibration": 0.05, "test": 0.20}
"""Expected share of the patients in each; a small cohort departs from it by chance."""


def cohort_splits(patients: Sequence[str], seed: int) -> NDArray[np.str_]:
    """The cohort split of each entry (N,), by a seeded hash of its patient id."""
    edges = np.cumsum(list(COHORT_FRACTIONS.values()))[:-1]
    positions = np.array([_position(patient, seed) for patient in patients], dtype=np.float64)
    return np.array(COHORT_SPLITS)[np.searchsorted(edges, positions, side="right")]


def _position(patient: str, seed: int) -> float:
    """A number in [0, 1), uniform over patients."""
    digest = hashlib.blake2b(f"{seed}:{patient}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
