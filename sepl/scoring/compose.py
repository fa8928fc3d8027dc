"""From weights to everything that a bundle holds: calibrated on the calibration patients, then evaluated.

Both through the scorer that will serve it, so that what is measured is what is served. Needs no study and no Ray.
"""

import math
from collections.abc import Mapping

import numpy as np
from torch import Tensor

from sepl.bundle.conditioning import FittedOn, default_patterns
from sepl.bundle.format import BundleContent, compose_bundle
from sepl.bundle.manifest import Intervals, Member, Provenance
from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.imaging.photograph import Normalisation
from sepl.errors import DatasetError
from sepl.models.backbone.normalisation import backbone_normalisation
from sepl.scoring.conditioning import fit_conditioning
from sepl.scoring.evaluation import check_fit, evaluate_bundle, per_patient
from sepl.scoring.intervals import calibrate
from sepl.scoring.scorer import Scorer
from sepl.scoring.told import told_by_pattern, told_tasks

_NUM_BOOTSTRAP = 1000


def compose_content(
    config: TrialConfig,
    dataset: PreparedDataset,
    state: dict[str, Tensor],
    provenance: Provenance,
    *,
    cohort_split: str = "test",
    normalisation: Normalisation | None = None,
    unvalidated: Mapping[str, Tensor] | None = None,
) -> BundleContent:
    """Everything that a bundle holds: `state` calibrated, then evaluated on `cohort_split`.

    `normalisation` is that of the network of these weights, by default its backbone's; `unvalidated` as in
    `calibrated_content`.
    """
    content = calibrated_content(config, dataset, state, provenance, normalisation, unvalidated=unvalidated)
    return evaluated_content(content, dataset, cohort_split)


def provenance_of_one(config: TrialConfig, dataset: PreparedDataset, best_epoch: int) -> Provenance:
    """Of one setting that was trained without a study."""
    return Provenance(
        study="trained",
        dataset_uri=dataset.uri,
        fingerprint=dataset.fingerprint,
        dataset_name=dataset.manifest.name,
        num_patients=dataset.manifest.num_patients,
        num_trials=1,
        seed=config.training.seed,
        best_epoch=best_epoch,
    )


def calibrated_content(
    config: TrialConfig,
    dataset: PreparedDataset,
    state: dict[str, Tensor],
    provenance: Provenance,
    normalisation: Normalisation | None = None,
    *,
    unvalidated: Mapping[str, Tensor] | None = None,
    members: tuple[Member, ...] = (),
) -> BundleContent:
    """What a bundle holds but its evaluation: for who notes something before the sealed patients are read.

    `unvalidated` are weights of the same setting, it may be `state` itself, that were not trained on the validation
    patients: how errors go together is then fitted on these patients too, not on the calibration patients alone.
    `members` are those of an ensemble whose state this is, and `config` the first one's.
    """
    if normalisation is None:
        normalisation = backbone_normalisation(config.model.backbone, config.model.weights)
    content = BundleContent(
        config=config,
        tasks=dataset.tasks,
        image=dataset.image_spec.for_network(normalisation),
        quality=dataset.manifest.quality,
        scaler=dataset.scaler,
        rules=dataset.manifest.rules,
        intervals=Intervals(),
        provenance=provenance,
        state=state,
        evaluation=None,
    )
    return recalibrated_content(_with_members(content, members), dataset, unvalidated)


def _with_members(content: BundleContent, members: tuple[Member, ...]) -> BundleContent:
    return BundleContent(**{**content, "members": members}) if members else content


def recalibrated_content(
    content: BundleContent, dataset: PreparedDataset, unvalidated: Mapping[str, Tensor] | None = None
) -> BundleContent:
    """The content with intervals and conditioning of the dataset's calibration patients.

    `unvalidated` as in `calibrated_content`.
    """
    tasks, scaler = content["tasks"], content["scaler"]
    scorer = Scorer(compose_bundle(**content)[0])
    outputs_PO, labels_PT = per_patient(scorer, dataset, "calibration")
    intervals = calibrate(outputs_PO, labels_PT, tasks, scaler)
    declared = dataset.manifest.known_patterns
    declared = default_patterns(tasks) if declared is None else declared
    told = told_by_pattern(scorer, dataset, "calibration", declared)
    num_calibration = len(outputs_PO)
    fitted_on: FittedOn = ("calibration",)
    if unvalidated is not None:
        if unvalidated is not content["state"]:
            scorer = Scorer(compose_bundle(**BundleContent(**{**content, "state": unvalidated}))[0])
        outputs_VO, labels_VT = per_patient(scorer, dataset, "validation")
        outputs_PO, labels_PT = np.vstack([outputs_PO, outputs_VO]), np.vstack([labels_PT, labels_VT])
        told_V = told_by_pattern(scorer, dataset, "validation", declared)
        told = {known: np.vstack([rows_PO, told_V[known]]) for known, rows_PO in told.items()}
        fitted_on = ("calibration", "validation")
    conditioning = fit_conditioning(
        outputs_PO,
        labels_PT,
        tasks,
        scaler,
        intervals,
        declared,
        is_calibration_P=np.arange(len(outputs_PO)) < num_calibration,
        fitted_on=fitted_on,
        network_inputs=told_tasks(scorer.bundle.manifest.models, tasks),
        told=told,
    )
    return BundleContent(**{**content, "intervals": intervals, "conditioning": conditioning})


def calibrated_anew(scorer: Scorer, dataset: PreparedDataset) -> BundleContent:
    """A bundle's content with intervals and conditioning of the dataset's calibration patients.

    Its evaluation stays where its intervals do, as on the dataset that they came from; of others it tells nothing.
    Raises DatasetError when the dataset is not prepared as for the bundle, or has no calibration patients.
    """
    bundle = scorer.bundle
    check_fit(bundle, dataset)
    if not dataset.photographs("calibration").num_photographs:
        raise DatasetError(f"{dataset.uri}: cohort split calibration should hold patients, holds none")
    manifest = bundle.manifest
    is_own = manifest.provenance.fingerprint == dataset.fingerprint
    content = BundleContent(
        config=manifest.config,
        tasks=manifest.tasks,
        image=manifest.image,
        quality=manifest.quality,
        scaler=manifest.scaler,
        rules=dataset.manifest.rules if is_own else manifest.rules,
        intervals=manifest.intervals,
        provenance=manifest.provenance,
        state=bundle.state,
        evaluation=None,
    )
    content = recalibrated_content(_with_members(content, manifest.members), dataset)
    is_same = _is_close(content["intervals"], manifest.intervals)
    return BundleContent(**{**content, "evaluation": bundle.evaluation if is_same else None})


def _is_close(ours: Intervals, theirs: Intervals) -> bool:
    """Whether two machines may have made both of the same patients."""
    pairs = [
        (ours.half_widths, theirs.half_widths),
        (ours.temperatures, theirs.temperatures),
        (ours.set_thresholds, theirs.set_thresholds),
    ]
    return ours.confidence == theirs.confidence and all(
        one.keys() == other.keys()
        and all(
            one[name] == value or math.isclose(one[name] or 0.0, value or 0.0, rel_tol=1e-3)
            for name, value in other.items()
        )
        for one, other in pairs
    )


def evaluated_content(content: BundleContent, dataset: PreparedDataset, cohort_split: str) -> BundleContent:
    """The content with its evaluation on `cohort_split`."""
    scorer = Scorer(compose_bundle(**content)[0])
    evaluation = evaluate_bundle(scorer, dataset, cohort_split, num_bootstrap=_NUM_BOOTSTRAP)
    return BundleContent(**{**content, "evaluation": evaluation})
