"""A bundle on the patients of a prepared dataset."""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sepl.bundle.format import BundleManifest, ModelBundle
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.imaging.photograph import ImageSpec
from sepl.errors import DatasetError
from sepl.metrics import Evaluation, evaluate
from sepl.metrics.bootstrap import median_of_present
from sepl.metrics.floor import fit_known_floor
from sepl.metrics.known import KnownEvaluation, KnownPredictions, evaluate_known
from sepl.models.predict import patient_outputs
from sepl.scoring.intervals import calibrated_values
from sepl.scoring.known import NOTHING, Given, score_known
from sepl.scoring.scorer import Scorer
from sepl.scoring.set_evaluation import sets_that_hold, with_set_sizes
from sepl.tasks import TaskSplit, TaskTable

_log = logging.getLogger(__name__)
Floats = NDArray[np.float64]


def evaluate_bundle(
    scorer: Scorer, dataset: PreparedDataset, cohort_split: str, num_bootstrap: int = 1000
) -> Evaluation:
    """How good the scorer's bundle is on one cohort split; each patient counts once, by the mean of the outputs.

    The median predictor and the floor are fitted on the dataset's train patients. A warning tells limits of quality
    that are not the bundle's: then other photographs are evaluated than would be scored. Nothing is said of known
    values on patients from whose errors the bundle learned what they bring.

    Raises:
        DatasetError: the dataset's tasks, units or image spec are not the bundle's, or the cohort split is unknown or
            holds nobody.
    """
    manifest = scorer.bundle.manifest
    check_fit(scorer.bundle, dataset)
    _tell_other_limits(scorer.bundle, dataset)
    if not dataset.photographs(cohort_split).num_photographs:
        raise DatasetError(f"{dataset.uri}: cohort split {cohort_split} should hold patients, holds none")
    outputs_PO, labels_PT = per_patient(scorer, dataset, cohort_split)
    found = calibrated_values(outputs_PO, manifest.tasks, manifest.scaler, manifest.intervals)
    train = dataset.photographs("train")
    train_labels_PT = train.labels_per_patient(manifest.tasks)
    evaluation = evaluate(
        found.values_NT,
        labels_PT,
        train_labels_PT,
        manifest.tasks,
        cohort_split=cohort_split,
        task_split=TaskSplit.parse(manifest.config.model.task_split, manifest.tasks),
        half_widths=manifest.intervals.half_widths,
        in_sets=sets_that_hold(found.levels, labels_PT, manifest.tasks),
        reachable_skill=dataset.manifest.reachable_skill,
        num_bootstrap=num_bootstrap,
    )
    evaluation = with_set_sizes(evaluation, found.levels, labels_PT, manifest.tasks)
    if manifest.conditioning is None or cohort_split in manifest.conditioning.fitted_on:
        return evaluation
    validation = dataset.photographs("validation")
    floors = train_labels_PT, validation.labels_per_patient(manifest.tasks)
    known = [
        _evaluate_pattern(row.known, outputs_PO, labels_PT, floors, manifest, num_bootstrap)
        for row in manifest.conditioning.declared
    ]
    return evaluation.model_copy(update={"known": tuple(row for row in known if row is not None)})


def _evaluate_pattern(
    names: tuple[str, ...],
    outputs_PO: Floats,
    labels_PT: Floats,
    floor_labels: tuple[Floats, Floats],
    manifest: BundleManifest,
    num_bootstrap: int,
) -> KnownEvaluation | None:
    """On the patients of whom all of these are known, of the tasks that are no grades; None when there are no two, or
    nothing but grades is left to judge."""
    tasks = manifest.tasks
    places = [tasks.index(name) for name in names]
    rows = np.flatnonzero(np.isfinite(labels_PT[:, places]).all(axis=1))
    plain = TaskTable.of(task for task in tasks if not task.is_graded)
    has_grades_alone = len(plain) < len(tasks) and set(plain.names) <= set(names)
    if len(rows) < 2 or has_grades_alone:
        return None
    outputs_PO, labels_PT = outputs_PO[rows], labels_PT[rows]
    given = [_given(labels_T, places, tasks) for labels_T in labels_PT]
    others = [given[place - 1] for place in range(len(given))]
    unknown, known, shuffled = (
        score_known(outputs_PO, told, manifest).found for told in ([NOTHING] * len(given), given, others)
    )
    # grades and classes are neither known nor moved by what is
    numbers = slice(None) if len(plain) == len(tasks) else [tasks.index(name) for name in plain.names]
    tasks, labels_PT = plain, labels_PT[:, numbers]
    train_PT, validation_PT = (own_PT[:, numbers] for own_PT in floor_labels)
    predictions = KnownPredictions(
        unknown_PT=unknown.values_NT[:, numbers],
        known_PT=known.values_NT[:, numbers],
        low_PT=known.low_NT[:, numbers],
        high_PT=known.high_NT[:, numbers],
        shuffled_PT=shuffled.values_NT[:, numbers],
        floor_PT=fit_known_floor(train_PT, validation_PT, labels_PT, tasks, names),
    )
    medians_T = [median_of_present(train_PT[:, index]) for index in range(len(tasks))]
    return evaluate_known(names, predictions, labels_PT, medians_T, tasks, num_bootstrap=num_bootstrap)


def _given(labels_T: Floats, places: Sequence[int], tasks: TaskTable) -> Given:
    """A binary label is the mean over a patient's photographs, a known value is 0 or 1."""
    rows = [(tasks.root[place], float(labels_T[place])) for place in places]
    return Given({task.name: float(value > 0.5) if task.kind == "binary" else value for task, value in rows})


def per_patient(scorer: Scorer, dataset: PreparedDataset, cohort_split: str) -> tuple[Floats, Floats]:
    """Network outputs (P, O), scaled values and logits, and labels (P, T) in units, of a cohort split's patients."""
    photographs = dataset.photographs(cohort_split)
    outputs_NO = scorer.outputs(photographs.shards, photographs.patient_index)
    outputs_PO = patient_outputs(outputs_NO, photographs.patient_index, dataset.tasks)
    return outputs_PO, photographs.labels_per_patient(dataset.tasks)


def check_fit(bundle: ModelBundle, dataset: PreparedDataset) -> None:
    ours, theirs = _describe_tasks(bundle.manifest.tasks), _describe_tasks(dataset.tasks)
    if ours != theirs:
        raise DatasetError(f"{dataset.uri}: tasks should be the bundle's, {ours}; were {theirs}")
    ours, theirs = _describe_image(bundle.manifest.image), _describe_image(dataset.image_spec)
    if ours != theirs:
        raise DatasetError(f"{dataset.uri}: photographs should be prepared as for the bundle, {ours}; were {theirs}")


def _tell_other_limits(bundle: ModelBundle, dataset: PreparedDataset) -> None:
    """In one line; of a dataset that kept no limits nothing can be told."""
    if dataset.manifest.quality is None:
        return
    pairs = zip(dataset.manifest.quality, bundle.manifest.quality_limits, strict=True)
    others = [
        f"{name} {theirs.describe()}, not {ours.describe()}" for (name, theirs), (_, ours) in pairs if theirs != ours
    ]
    if others:
        _log.warning(
            "%s: photographs passed other limits of quality than the bundle's: %s", dataset.uri, "; ".join(others)
        )


def _describe_tasks(tasks: TaskTable) -> str:
    return ", ".join(
        f"{task.name} ({task.kind}, {' < '.join(task.levels) if task.is_graded else task.unit})" for task in tasks
    )


def _describe_image(image: ImageSpec) -> str:
    return f"{image.size} px, {'cropped to the field of view' if image.field_of_view else 'whole'}"
