"""A bundle on the patients of a prepared dataset."""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sepl.bundle.format import BundleManifest, ModelBundle
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.imaging.photograph import ImageSpec
from sepl.errors import ConfigError, DatasetError
from sepl.metrics import Evaluation, evaluate
from sepl.metrics.subgroups import Groups, patient_groups
from sepl.models.predict import patient_outputs
from sepl.scoring.intervals import calibrated_values
from sepl.scoring.known import check_known
from sepl.scoring.known_evaluation import evaluate_patterns
from sepl.scoring.scorer import Scorer
from sepl.scoring.set_evaluation import sets_that_hold, with_set_sizes
from sepl.tasks import TaskSplit, TaskTable

_log = logging.getLogger(__name__)
Floats = NDArray[np.float64]


def evaluate_bundle(
    scorer: Scorer,
    dataset: PreparedDataset,
    cohort_split: str,
    num_bootstrap: int = 1000,
    *,
    known: Sequence[tuple[str, ...]] | None = None,
) -> Evaluation:
    """How good the scorer's bundle is on one cohort split; each patient counts once, by the mean of the outputs.

    The median predictor and the floor are fitted on the dataset's train patients. A warning tells limits of quality
    that are not the bundle's: then other photographs are evaluated than would be scored.

    Args:
        known: sets of tasks whose values are known; None: those that the bundle declares, but none on patients from
            whose errors it learned what they bring.

    Raises:
        ConfigError: `known` is asked of a bundle that takes no such values, or on patients whom it learned from.
        DatasetError: the dataset's tasks, units or image spec are not the bundle's, or the cohort split is unknown or
            holds nobody, or no two of whom a set of `known` is known.
    """
    manifest = scorer.bundle.manifest
    check_fit(scorer.bundle, dataset)
    patterns = _declared(manifest, cohort_split) if known is None else _asked(known, manifest, dataset, cohort_split)
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
        groups=_groups(dataset, cohort_split, labels_PT),
        num_bootstrap=num_bootstrap,
    )
    evaluation = with_set_sizes(evaluation, found.levels, labels_PT, manifest.tasks)
    if not patterns:
        return evaluation
    told = evaluate_patterns(patterns, scorer, dataset, cohort_split, outputs_PO, num_bootstrap=num_bootstrap)
    return evaluation.model_copy(update={"known": told})


def _declared(manifest: BundleManifest, cohort_split: str) -> Sequence[tuple[str, ...]]:
    conditioning = manifest.conditioning
    if conditioning is None or cohort_split in conditioning.fitted_on:
        return ()
    return [row.known for row in conditioning.declared]


def _asked(
    patterns: Sequence[tuple[str, ...]], manifest: BundleManifest, dataset: PreparedDataset, cohort_split: str
) -> Sequence[tuple[str, ...]]:
    check_known([name for names in patterns for name in names], manifest)
    if manifest.conditioning is not None and cohort_split in manifest.conditioning.fitted_on:
        raise ConfigError(
            "known values should be evaluated on patients from whose errors the bundle did not learn what they bring, "
            f"were to be on {cohort_split}"
        )
    photographs = dataset.photographs(cohort_split)
    labels_PT = photographs.labels_per_patient(dataset.tasks)
    for names in patterns:
        places = [manifest.tasks.index(name) for name in names]
        num_patients = int(np.isfinite(labels_PT[:, places]).all(axis=1).sum())
        if num_patients < 2:
            raise DatasetError(
                f"{dataset.uri}: {', '.join(names)} should be known of two patients or more in {cohort_split}, "
                f"{'was' if len(names) == 1 else 'were'} of {num_patients}"
            )
    return patterns


def per_patient(scorer: Scorer, dataset: PreparedDataset, cohort_split: str) -> tuple[Floats, Floats]:
    """Network outputs (P, O), scaled values and logits, and labels (P, T) in units, of a cohort split's patients."""
    photographs = dataset.photographs(cohort_split)
    outputs_NO = scorer.outputs(photographs.shards, photographs.patient_index)
    outputs_PO = patient_outputs(outputs_NO, photographs.patient_index, dataset.tasks)
    return outputs_PO, photographs.labels_per_patient(dataset.tasks)


def _groups(dataset: PreparedDataset, cohort_split: str, labels_PT: Floats) -> Groups:
    photographs = dataset.photographs(cohort_split)
    return patient_groups(labels_PT, dataset.tasks, photographs.sites, photographs.cameras, photographs.patient_index)


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
