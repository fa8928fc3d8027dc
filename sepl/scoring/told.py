"""Networks that are told known values: of which tasks, and what they say then of the patients of a dataset.

N photographs · P patients · T tasks · O outputs
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sepl.bundle.conditioning import all_patterns
from sepl.config import ModelConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.models.parts.network import MultiTaskNetwork
from sepl.models.predict import join_patients
from sepl.tasks import TaskSplit, TaskTable

if TYPE_CHECKING:
    from sepl.scoring.scorer import Scorer

Floats = NDArray[np.float64]


def network_inputs(config: ModelConfig, tasks: TaskTable) -> tuple[str, ...]:
    """Tasks of which the network is told known values, in the order of the table: the priors, of one trained so, but a
    grade or class, which nobody can give."""
    if config.known_share == 0:
        return ()
    priors = TaskSplit.parse(config.task_split, tasks).priors
    return tuple(task.name for task in tasks if task.name in priors and not task.is_graded)


def told_tasks(models: Sequence[ModelConfig], tasks: TaskTable) -> tuple[str, ...]:
    """`network_inputs` of a network, or of any member of an ensemble."""
    told = {name for model in models for name in network_inputs(model, tasks)}
    return tuple(name for name in tasks.names if name in told)


def join_told(
    network: MultiTaskNetwork, kept_N: Tensor, patient_N: NDArray[np.int64], told: Mapping[int, Floats]
) -> dict[int, Floats]:
    """Outputs (O,) by patient of whom the network is told something.

    Args:
        kept_N: as `represent_pixels` gives it.
        patient_N: whose each row is.
        told: by patient, what the network is told (T,), scaled, NaN where nothing.
    """
    told = {patient: row_T for patient, row_T in told.items() if np.isfinite(row_T).any()}
    rows_N = np.isin(patient_N, list(told))
    if not rows_N.any():
        return {}
    found_P, index_N = np.unique(patient_N[rows_N], return_inverse=True)
    told_PT = np.stack([told[patient] for patient in found_P.tolist()])
    outputs_PT = join_patients(network, kept_N[torch.from_numpy(rows_N).to(kept_N.device)], index_N, told_PT)
    return {patient: row_T.copy() for patient, row_T in zip(found_P.tolist(), outputs_PT, strict=True)}


def told_per_patient(
    scorer: "Scorer", dataset: PreparedDataset, cohort_split: str, tables: Sequence[Floats]
) -> list[Floats]:
    """Network outputs (P, O), scaled values and logits, once for each table (P, T) of what the network is told.

    Tables are in the tasks' units, NaN where nothing is told; binary 0 or 1.
    """
    if not tables:
        return []
    photographs = dataset.photographs(cohort_split)
    scaled = [scorer.bundle.manifest.scaler.scale(table_PT)[photographs.patient_index] for table_PT in tables]
    told = scorer.told_outputs(photographs.shards, scaled, photographs.patient_index)
    return [photographs.per_patient(outputs_NO) for outputs_NO in told]


def told_by_pattern(
    scorer: "Scorer", dataset: PreparedDataset, cohort_split: str, declared: Sequence[Sequence[str]]
) -> Mapping[tuple[str, ...], Floats]:
    """Outputs (P, O) of a cohort split's patients by pattern that has tasks of which the network is told.

    It is told the labels of these; what it says where one is absent is of no meaning.
    """
    manifest = scorer.bundle.manifest
    inputs, tasks = set(told_tasks(manifest.models, manifest.tasks)), manifest.tasks
    patterns = [known for known in all_patterns(declared, tasks) if inputs & set(known)]
    photographs = dataset.photographs(cohort_split)
    labels_PT = as_known(photographs.labels_per_patient(tasks), tasks)
    tables = [np.where(np.isin(tasks.names, sorted(inputs & set(known))), labels_PT, np.nan) for known in patterns]
    return dict(zip(patterns, told_per_patient(scorer, dataset, cohort_split, tables), strict=True))


def as_known(labels_PT: Floats, tasks: TaskTable) -> Floats:
    """Labels as values that are known: a binary one, the mean over a patient's photographs, is 0 or 1."""
    rounded_PT = np.where(np.isfinite(labels_PT), (labels_PT > 0.5).astype(float), np.nan)
    return np.where(np.array(tasks.is_binary), rounded_PT, labels_PT)
