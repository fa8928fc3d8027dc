"""From a study that is over to a published bundle: refit, calibrate, test once.

The winner's setting is trained again on the train and validation patients, over its whole schedule
(docs/decisions/0005-refit.md); calibrated on patients who neither trained nor chose it; and evaluated on the sealed
test patients, whom nobody looked at before. Needs no Ray.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import optuna
import torch
from torch import Tensor

from sepl.bundle.format import BundleContent, ModelBundle, compose_bundle
from sepl.bundle.manifest import Intervals, Provenance
from sepl.bundle.registry import Registry
from sepl.config import TrialConfig
from sepl.data.prepared import PreparedDataset
from sepl.errors import DivergedError, StudyError
from sepl.metrics import Evaluation
from sepl.scoring.evaluation import evaluate_bundle
from sepl.scoring.intervals import calibrate
from sepl.scoring.scorer import Scorer
from sepl.storage import Location, local_copy
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun, train
from sepl.tuning.dataset import open_unchanged
from sepl.tuning.leaderboard import TrialRow, leaderboard
from sepl.tuning.record import BUNDLE_ID, ENDED, StudyFolder

Tell = Callable[[str], None]

_NUM_BOOTSTRAP = 1000


@dataclass(frozen=True)
class Winner:
    """What a study came to."""

    row: TrialRow
    bundle_id: str
    bundle_uri: str
    evaluation: Evaluation


def select_winner(storage: str, study: str, tell: Tell = print, num_threads: int | None = None) -> Winner:
    """Publishes the bundle of a study's best full trial under the study's name as alias; the second time, reads it.

    `num_threads` of torch should be what a trial had: a small network is no faster with more, and many times slower
    when the cores are busy with something else.

    Raises StudyError when the search is not over or no trial ran to the end, DatasetError when the dataset is not what
    it was.
    """
    folder = StudyFolder.at(storage, study)
    trials = folder.load_study()
    if ENDED not in trials.user_attrs:
        raise StudyError(f"study {study} is not over; go on with --resume")
    board = leaderboard(trials)
    row = board.best()
    if row is None:
        raise StudyError(f"study {study}: {trials.user_attrs[ENDED]}, but no trial ran to the end; allow it more")
    registry = Registry(folder.registry.uri)
    if num_threads is not None:
        torch.set_num_threads(num_threads)
    if BUNDLE_ID not in trials.user_attrs:
        bundle = _publish(folder, trials, row, len(board.root), registry, tell)
        trials.set_user_attr(BUNDLE_ID, bundle.bundle_id)
    bundle = registry.show(trials.user_attrs[BUNDLE_ID])
    assert bundle.evaluation is not None  # compose_content always evaluates
    return Winner(row, bundle.bundle_id, registry.resolve(bundle.bundle_id), bundle.evaluation)


def refit(config: TrialConfig, dataset: PreparedDataset, tell: Tell = print) -> dict[str, Tensor]:
    """Weights at the end of the config's schedule on train and validation patients.

    Raises DivergedError.
    """
    data = TrainingData.load(dataset, train_splits=("train", "validation"), validation_split=None)
    run = TrainingRun(config, data)
    for epoch in train(run):
        tell(f"refit: epoch {epoch.epoch} of {epoch.num_epochs}, loss {epoch.train_loss:.3f}, {epoch.seconds:.1f} s")
    return run.best_state()


def compose_content(
    config: TrialConfig,
    dataset: PreparedDataset,
    state: dict[str, Tensor],
    provenance: Provenance,
    *,
    cohort_split: str = "test",
) -> BundleContent:
    """Everything that a bundle holds: `state` calibrated, then evaluated on `cohort_split`.

    Both through the scorer that will serve it, so that what is measured is what is served.
    """
    content = BundleContent(
        config=config,
        tasks=dataset.tasks,
        image=dataset.image_spec,
        scaler=dataset.scaler,
        intervals=Intervals(),
        provenance=provenance,
        state=state,
        evaluation=None,
    )
    content["intervals"] = _calibrate(Scorer(compose_bundle(**content)[0]), dataset)
    scorer = Scorer(compose_bundle(**content)[0])
    content["evaluation"] = evaluate_bundle(scorer, dataset, cohort_split, num_bootstrap=_NUM_BOOTSTRAP)
    return content


def _calibrate(scorer: Scorer, dataset: PreparedDataset) -> Intervals:
    photographs = dataset.photographs("calibration")
    outputs_PT = photographs.per_patient(scorer.outputs(photographs.shards, photographs.patient_index))
    labels_PT = photographs.per_patient(photographs.labels_NT)
    return calibrate(outputs_PT, labels_PT, dataset.tasks, dataset.scaler)


def _publish(
    folder: StudyFolder, trials: optuna.Study, row: TrialRow, num_trials: int, registry: Registry, tell: Tell
) -> ModelBundle:
    record = folder.read()
    dataset = open_unchanged(record.dataset, record.fingerprint)
    config = TrialConfig.from_params(row.config)
    assert row.best_epoch is not None  # a full trial has a curve
    trial = f"trial {row.number}"
    try:
        state = refit(config, dataset, tell)
    except DivergedError as problem:
        tell(f"the refit diverged ({problem}); the trial's own best weights are published")
        checkpoint = trials.trials[row.number].user_attrs.get("checkpoint")
        if checkpoint is None:
            raise StudyError(f"study {record.study}: {trial} kept no weights and its refit diverged") from problem
        state = _own_weights(config, dataset, folder.location, checkpoint)
        trial += ", its own weights: the refit on train and validation patients diverged"
    tell("calibrating on the calibration patients and testing once on the sealed ones")
    provenance = Provenance(
        study=record.study,
        dataset_uri=record.dataset,
        fingerprint=record.fingerprint,
        dataset_name=dataset.manifest.name,
        num_patients=dataset.manifest.num_patients,
        trial=trial,
        num_trials=num_trials,
        seed=config.training.seed,
        best_epoch=row.best_epoch,
    )
    bundle = registry.add(**compose_content(config, dataset, state, provenance))
    registry.promote(bundle.bundle_id, alias=record.study)
    return bundle


def _own_weights(
    config: TrialConfig, dataset: PreparedDataset, storage: Location, checkpoint: str
) -> dict[str, Tensor]:
    """The best weights that the trial saved at its end."""
    source = Location(storage.filesystem, checkpoint, checkpoint)
    run = TrainingRun(config, TrainingData.load(dataset))
    with tempfile.TemporaryDirectory() as cache:
        run.restore(local_copy(source, Path(cache)))
    return run.best_state()
