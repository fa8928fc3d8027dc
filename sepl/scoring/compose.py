"""From weights to everything that a bundle holds: calibrated on the calibration patients, then evaluated.

Both through the scorer that will serve it, so that what is measured is what is served. Needs no study and no Ray.
"""

from torch import Tensor

from sepl.bundle.format import BundleContent, compose_bundle
from sepl.bundle.manifest import Intervals, Provenance
from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.imaging.photograph import Normalisation
from sepl.models.backbone.normalisation import backbone_normalisation
from sepl.scoring.evaluation import evaluate_bundle
from sepl.scoring.intervals import calibrate
from sepl.scoring.scorer import Scorer

_NUM_BOOTSTRAP = 1000


def compose_content(
    config: TrialConfig,
    dataset: PreparedDataset,
    state: dict[str, Tensor],
    provenance: Provenance,
    *,
    cohort_split: str = "test",
    normalisation: Normalisation | None = None,
) -> BundleContent:
    """Everything that a bundle holds: `state` calibrated, then evaluated on `cohort_split`.

    `normalisation` is that of the network of these weights, by default its backbone's.
    """
    content = calibrated_content(config, dataset, state, provenance, normalisation)
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
) -> BundleContent:
    """What a bundle holds but its evaluation: for who notes something before the sealed patients are read."""
    if normalisation is None:
        normalisation = backbone_normalisation(config.model.backbone, config.model.weights)
    content = BundleContent(
        config=config,
        tasks=dataset.tasks,
        image=dataset.image_spec.for_network(normalisation),
        quality=dataset.manifest.quality,
        scaler=dataset.scaler,
        intervals=Intervals(),
        provenance=provenance,
        state=state,
        evaluation=None,
    )
    return BundleContent(**{**content, "intervals": _intervals(Scorer(compose_bundle(**content)[0]), dataset)})


def evaluated_content(content: BundleContent, dataset: PreparedDataset, cohort_split: str) -> BundleContent:
    """The content with its evaluation on `cohort_split`."""
    scorer = Scorer(compose_bundle(**content)[0])
    evaluation = evaluate_bundle(scorer, dataset, cohort_split, num_bootstrap=_NUM_BOOTSTRAP)
    return BundleContent(**{**content, "evaluation": evaluation})


def _intervals(scorer: Scorer, dataset: PreparedDataset) -> Intervals:
    photographs = dataset.photographs("calibration")
    outputs_PT = photographs.per_patient(scorer.outputs(photographs.shards, photographs.patient_index))
    labels_PT = photographs.per_patient(photographs.labels_NT)
    return calibrate(outputs_PT, labels_PT, dataset.tasks, dataset.scaler)
