"""A bundle on the patients of a prepared dataset."""

import numpy as np
from numpy.typing import NDArray

from sepl.bundle.format import ModelBundle
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.imaging.photograph import ImageSpec
from sepl.errors import DatasetError
from sepl.metrics import Evaluation, evaluate
from sepl.scoring.intervals import calibrated_values
from sepl.scoring.scorer import Scorer
from sepl.tasks import TaskSplit, TaskTable

Floats = NDArray[np.float64]


def evaluate_bundle(
    scorer: Scorer, dataset: PreparedDataset, cohort_split: str, num_bootstrap: int = 1000
) -> Evaluation:
    """How good the scorer's bundle is on one cohort split; each patient counts once, by the mean of the outputs.

    The median predictor and the floor are fitted on the dataset's train patients.

    Raises:
        DatasetError: the dataset's tasks, units or image spec are not the bundle's, or the cohort split is unknown or
            holds nobody.
    """
    manifest = scorer.bundle.manifest
    check_fit(scorer.bundle, dataset)
    if not dataset.photographs(cohort_split).num_photographs:
        raise DatasetError(f"{dataset.uri}: cohort split {cohort_split} should hold patients, holds none")
    outputs_PT, labels_PT = per_patient(scorer, dataset, cohort_split)
    found = calibrated_values(outputs_PT, manifest.tasks, manifest.scaler, manifest.intervals)
    train = dataset.photographs("train")
    return evaluate(
        found.values_NT,
        labels_PT,
        train.per_patient(train.labels_NT),
        manifest.tasks,
        cohort_split=cohort_split,
        task_split=TaskSplit.parse(manifest.config.model.task_split, manifest.tasks),
        half_widths=manifest.intervals.half_widths,
        reachable_skill=dataset.manifest.reachable_skill,
        num_bootstrap=num_bootstrap,
    )


def per_patient(scorer: Scorer, dataset: PreparedDataset, cohort_split: str) -> tuple[Floats, Floats]:
    """Network outputs (P, T), scaled values and logits, and labels (P, T) in units, of a cohort split's patients."""
    photographs = dataset.photographs(cohort_split)
    outputs_NT = scorer.outputs(photographs.shards, photographs.patient_index)
    return photographs.per_patient(outputs_NT), photographs.per_patient(photographs.labels_NT)


def check_fit(bundle: ModelBundle, dataset: PreparedDataset) -> None:
    ours, theirs = _describe_tasks(bundle.manifest.tasks), _describe_tasks(dataset.tasks)
    if ours != theirs:
        raise DatasetError(f"{dataset.uri}: tasks should be the bundle's, {ours}; were {theirs}")
    ours, theirs = _describe_image(bundle.manifest.image), _describe_image(dataset.image_spec)
    if ours != theirs:
        raise DatasetError(f"{dataset.uri}: photographs should be prepared as for the bundle, {ours}; were {theirs}")


def _describe_tasks(tasks: TaskTable) -> str:
    return ", ".join(f"{task.name} ({task.kind}, {task.unit})" for task in tasks)


def _describe_image(image: ImageSpec) -> str:
    return f"{image.size} px, {'cropped to the field of view' if image.field_of_view else 'whole'}"
