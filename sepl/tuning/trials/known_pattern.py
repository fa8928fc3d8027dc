"""How the trials of a study are judged that knows values of patients: with nothing known, and with these known.

A patient's own errors mend nobody but others: conditioning is fitted on four in five validation patients and judged on
the fifth, in turn.
"""

import numpy as np

from sepl.bundle.conditioning import parse_pattern
from sepl.data.dataset.dataset import Photographs, PreparedDataset
from sepl.scoring.cross_fit import cross_condition
from sepl.scoring.told import as_known
from sepl.training.input.batches import KnownJudge


def judge_known(pattern: str, dataset: PreparedDataset, photographs: Photographs | None = None) -> KnownJudge:
    """Of the patients of these photographs, the dataset's validation patients unless given; `pattern` such as
    age+sex."""
    tasks, photographs = dataset.tasks, photographs or dataset.photographs("validation")
    known = parse_pattern(pattern, tasks, "--known-pattern")
    labels_PT = photographs.labels_per_patient(dataset.tasks)
    told_PT = np.where(np.isin(tasks.names, known), as_known(labels_PT, tasks), np.nan)
    return KnownJudge(
        known=known,
        labels_NT=dataset.scaler.scale(told_PT)[photographs.patient_index],
        values=lambda outputs_PT, told_PT: cross_condition(
            outputs_PT, labels_PT, known, tasks, dataset.scaler, told_PT
        ),
    )
