"""From a winner to a published bundle: refit, calibrate, test once.

The winner's setting is trained again on the train and validation patients, over its whole schedule
(docs/decisions/0005-refit.md); calibrated on patients who neither trained nor chose it; and evaluated on the sealed
test patients, whom nobody looked at before.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import optuna
from torch import Tensor

from sepl.bundle.manifest import Provenance
from sepl.bundle.registry import Registry
from sepl.bundle.unsealing import UnsealingRecord
from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import DivergedError, SeplError, StudyError
from sepl.models.backbone.normalisation import backbone_normalisation
from sepl.scoring.compose import calibrated_content, evaluated_content
from sepl.storage import Location, local_copy
from sepl.training.input.batches import TrainingData
from sepl.training.refit import refit
from sepl.training.supervised.run import TrainingRun
from sepl.tuning.record.record import StudyFolder
from sepl.tuning.results.leaderboard import TrialRow
from sepl.tuning.selection.candidates import Candidate

Tell = Callable[[str], None]


def publish(
    folder: StudyFolder,
    trials: optuna.Study,
    candidate: Candidate,
    num_trials: int,
    unsealing: UnsealingRecord,
    tell: Tell,
) -> str:
    """Id of the published bundle. Raises as `select_winner`."""
    row = candidate.row
    record = folder.read()
    dataset = PreparedDataset.open(record.dataset, fingerprint=record.fingerprint)
    config = candidate.config
    assert row.best_epoch is not None  # a full trial has a curve
    state, trial, is_own = _final_weights(folder, trials, row, config, dataset, tell)
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
        earlier_test_readings=unsealing.num_readings(),
    )
    own = state if is_own else _weights_without_validation(folder, trials, row, config, dataset, tell)
    tell("calibrating on the calibration patients")
    content = calibrated_content(config, dataset, state, provenance, unvalidated=own)
    unsealing.note(trial)
    tell("testing once on the sealed patients")
    content = evaluated_content(content, dataset, "test")
    return Registry(folder.registry.uri).add(**content).bundle_id


def _final_weights(
    folder: StudyFolder, trials: optuna.Study, row: TrialRow, config: TrialConfig, dataset: PreparedDataset, tell: Tell
) -> tuple[dict[str, Tensor], str, bool]:
    """The winner's weights, refitted, in words whose they are, and whether they are the trial's own instead."""
    trial = f"trial {row.number}"
    try:
        return refit(config, dataset, tell), trial, False
    except DivergedError as problem:
        tell(f"the refit diverged ({problem}); the trial's own best weights are published")
        checkpoint = trials.trials[row.number].user_attrs.get("checkpoint")
        if checkpoint is None:
            raise StudyError(f"study {folder.name}: {trial} kept no weights and its refit diverged") from problem
        state = _own_weights(config, dataset, folder.location, checkpoint)
        return state, f"{trial}, its own weights: the refit on train and validation patients diverged", True


def _weights_without_validation(
    folder: StudyFolder, trials: optuna.Study, row: TrialRow, config: TrialConfig, dataset: PreparedDataset, tell: Tell
) -> dict[str, Tensor] | None:
    """The winning trial's own: how errors go together is to be seen on patients who did not train.

    None where the trial kept none, or none that can be read: then the calibration patients have to do.
    """
    checkpoint = trials.trials[row.number].user_attrs.get("checkpoint")
    if checkpoint is None:
        return None
    try:
        return _own_weights(config, dataset, folder.location, checkpoint)
    except (SeplError, OSError) as problem:
        tell(f"the trial's own weights cannot be read ({problem}); known values rest on calibration patients alone")
        return None


def _own_weights(
    config: TrialConfig, dataset: PreparedDataset, storage: Location, checkpoint: str
) -> dict[str, Tensor]:
    """The best weights that the trial saved at its end."""
    source = Location(storage.filesystem, checkpoint, checkpoint)
    run = TrainingRun(config, TrainingData.load(dataset))
    with tempfile.TemporaryDirectory() as cache:
        run.restore(local_copy(source, Path(cache)))
    if run.network.normalisation != backbone_normalisation(config.model.backbone, config.model.weights):
        raise StudyError(
            "the trial's own weights should be of pixels normalised as its backbone's, were of an earlier version's, "
            "as for ImageNet: train its config anew with jobs.train"
        )
    return run.best_state()
