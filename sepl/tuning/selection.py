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

from sepl.bundle.manifest import Provenance
from sepl.bundle.registry import Registry
from sepl.bundle.unsealing import UnsealingRecord
from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import DivergedError, SeplError, StudyError
from sepl.metrics import Evaluation
from sepl.models.backbone.normalisation import backbone_normalisation
from sepl.scoring.compose import calibrated_content, evaluated_content
from sepl.storage import Location, local_copy
from sepl.training.input.batches import TrainingData
from sepl.training.refit import refit
from sepl.training.supervised.run import TrainingRun
from sepl.tuning.probe.publish import candidate_weights
from sepl.tuning.probe.record import PROBE_NUMBER, probe_candidate
from sepl.tuning.record.record import BUNDLE_ID, ENDED, StudyFolder
from sepl.tuning.results.leaderboard import TrialRow, leaderboard

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Winner:
    """What a study came to."""

    row: TrialRow
    bundle_id: str
    bundle_uri: str
    evaluation: Evaluation


def select_winner(
    storage: str, study: str, tell: Tell = print, num_threads: int | None = None, *, test_again: bool = False
) -> Winner:
    """Publishes the bundle of a study's best full trial under the study's name as alias; the second time, reads it.

    The sealed test patients are read once. That they are is written beside the registry before; a bundle of which the
    study's database does not know is found there. When they were read and no bundle came of it, they are read again
    only with `test_again`, and the bundle says so.

    `num_threads` of torch should be what a trial had: a small network is no faster with more, and many times slower
    when the cores are busy with something else.

    Raises StudyError when the search is not over, no trial ran to the end or the sealed patients were read before,
    DatasetError when the dataset is not what it was, StorageError when another process has the study.
    """
    folder = StudyFolder.at(storage, study)
    trials = folder.load_study()
    if trials.user_attrs.get(ENDED) is None:
        raise StudyError(f"study {study} is not over; go on with --resume")
    board = leaderboard(trials)
    row = _best(board.best(), folder)
    if row is None:
        raise StudyError(
            f"study {study}: {trials.user_attrs[ENDED]}, but no trial ran to the end; --resume it with more"
        )
    registry = Registry(folder.registry.uri)
    if num_threads is not None:
        torch.set_num_threads(num_threads)
    with folder.only_driver():  # two at once would both test
        if BUNDLE_ID not in trials.user_attrs:
            unsealing = folder.unsealing(folder.read().fingerprint)
            bundle_id = None if test_again else _bundle_of(unsealing, row)
            if bundle_id is None:
                bundle_id = _publish(folder, trials, row, len(board.root), unsealing, tell)
            _promote_once(registry, bundle_id, study)
            trials.set_user_attr(BUNDLE_ID, bundle_id)
    bundle = registry.show(trials.user_attrs[BUNDLE_ID])
    assert bundle.evaluation is not None  # what a study publishes was tested
    return Winner(row, bundle.bundle_id, registry.resolve(bundle.bundle_id), bundle.evaluation)


def _best(row: TrialRow | None, folder: StudyFolder) -> TrialRow | None:
    """The best trial, or the probe's best head where it is better on the validation patients."""
    candidate = probe_candidate(folder)
    if candidate is None or (row is not None and (row.best_skill or 0.0) >= candidate.skill):
        return row
    return candidate.as_row()


def _bundle_of(unsealing: UnsealingRecord, row: TrialRow) -> str | None:
    """Id of the winner's bundle that was published although the database does not know, None before the first test.

    Raises StudyError when the sealed patients were read and there is no such bundle.
    """
    config = TrialConfig.from_params(row.config)
    own = [manifest.bundle_id for manifest in unsealing.bundles() if manifest.config == config]
    if own:
        return own[-1]
    if unsealing.num_readings():
        raise StudyError(
            f"study {unsealing.study} has read the sealed test patients before (see {unsealing.registry.uri}), and no "
            "bundle of its winner is there: begin a study of another name, or give --test-again, which the bundle will "
            "say"
        )
    return None


def _promote_once(registry: Registry, bundle_id: str, alias: str) -> None:
    """A bundle that was promoted before stays where its people have put it since."""
    history = registry.aliases().aliases.get(alias, ())
    if bundle_id not in [promotion.bundle_id for promotion in history]:
        registry.promote(bundle_id, alias)


def _publish(
    folder: StudyFolder, trials: optuna.Study, row: TrialRow, num_trials: int, unsealing: UnsealingRecord, tell: Tell
) -> str:
    """Id of the published bundle."""
    record = folder.read()
    dataset = PreparedDataset.open(record.dataset, fingerprint=record.fingerprint)
    config = TrialConfig.from_params(row.config)
    assert row.best_epoch is not None  # a full trial has a curve
    if row.number == PROBE_NUMBER:
        state, trial, own = _probe_weights(folder, dataset, tell)
    else:
        state, trial, is_own = _final_weights(folder, trials, row, config, dataset, tell)
        own = state if is_own else _weights_without_validation(folder, trials, row, config, dataset, tell)
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
    tell("calibrating on the calibration patients")
    content = calibrated_content(config, dataset, state, provenance, unvalidated=own)
    unsealing.note(trial)
    tell("testing once on the sealed patients")
    content = evaluated_content(content, dataset, "test")
    return Registry(folder.registry.uri).add(**content).bundle_id


def _probe_weights(
    folder: StudyFolder, dataset: PreparedDataset, tell: Tell
) -> tuple[dict[str, Tensor], str, dict[str, Tensor]]:
    """Weights with the probe's head refitted, whose they are, and those with the head as it was chosen."""
    candidate = probe_candidate(folder)
    assert candidate is not None, "its row was chosen"
    state, chosen = candidate_weights(folder, candidate, dataset, tell)
    return state, "the probe's best head, on a backbone that stayed as it was", chosen


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
