"""From a winner to a published bundle: refit, calibrate, test once.

The winner's setting is trained again on the train and validation patients, over its whole schedule
(docs/decisions/0005-refit.md); calibrated on patients who neither trained nor chose it; and evaluated on the sealed
test patients, whom nobody looked at before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import optuna
from torch import Tensor

from sepl.bundle.format import BundleContent
from sepl.bundle.ledger import Ledger, SealedReading, SealedSet
from sepl.bundle.manifest import Provenance
from sepl.bundle.registry import Registry
from sepl.bundle.unsealing import UnsealingRecord
from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import DivergedError, SeplError, StudyError
from sepl.scoring.compose import calibrated_content, evaluated_content
from sepl.training.refit import refit
from sepl.tuning.probe.publish import candidate_weights
from sepl.tuning.probe.record import probe_candidate
from sepl.tuning.record.record import StudyFolder
from sepl.tuning.results.leaderboard import TrialRow
from sepl.tuning.selection.candidates import Candidate
from sepl.tuning.selection.ensemble import ensemble_content
from sepl.tuning.selection.own_weights import own_weights

Tell = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Publisher:
    """Of one study that is over."""

    folder: StudyFolder
    trials: optuna.Study
    num_trials: int
    tell: Tell

    def publish(self, candidate: Candidate) -> str:
        """Id of the winner's bundle. Raises as `select_winner`."""
        dataset = self._dataset()
        config, row = candidate.config, candidate.row
        if candidate.is_trial:
            state, trial, is_own = _final_weights(self.folder, self.trials, row, config, dataset, self.tell)
            own = state
            if not is_own:
                own = _weights_without_validation(self.folder, self.trials, row, config, dataset, self.tell)
        else:
            state, trial, own = _probe_weights(self.folder, dataset, self.tell)
        provenance = self._provenance(dataset, trial, row, config.training.seed)
        self.tell("calibrating on the calibration patients")
        content = calibrated_content(config, dataset, state, provenance, unvalidated=own)
        return self._test(content, dataset)

    def publish_ensemble(self, candidates: Sequence[Candidate], num_members: int) -> str:
        """Id of the bundle of an ensemble of the candidates' own weights. Raises as `select_winner`."""
        dataset = self._dataset()
        first = candidates[0]
        provenance = self._provenance(dataset, first.label, first.row, first.config.training.seed)
        content = ensemble_content(self.folder, self.trials, candidates, dataset, provenance, num_members, self.tell)
        return self._test(content, dataset)

    def _test(self, content: BundleContent, dataset: PreparedDataset) -> str:
        """The id of the bundle, published after the sealed patients were read, which is noted before."""
        provenance, ledger = content["provenance"], Ledger(self.folder.registry)
        sealed = SealedSet.of(dataset)
        reading = SealedReading(sealed=sealed, study=self.folder.name, model=provenance.trial, command="jobs.search")
        self._unsealing(dataset).note(provenance.trial)
        place = ledger.note(reading)
        count = ledger.count(sealed.fingerprint, sealed.patients)
        provenance = provenance.model_copy(
            update={"sealed_readings": count.num_readings, "sealed_studies": count.num_studies}
        )
        self.tell("testing once on the sealed patients")
        content = evaluated_content(BundleContent(**{**content, "provenance": provenance}), dataset, "test")
        bundle_id = Registry(self.folder.registry.uri).add(**content).bundle_id
        ledger.name_bundle(place, reading, bundle_id)
        return bundle_id

    def _dataset(self) -> PreparedDataset:
        record = self.folder.read()
        return PreparedDataset.open(record.dataset, fingerprint=record.fingerprint)

    def _unsealing(self, dataset: PreparedDataset) -> UnsealingRecord:
        return self.folder.unsealing(dataset.fingerprint)

    def _provenance(self, dataset: PreparedDataset, trial: str, row: TrialRow, seed: int) -> Provenance:
        assert row.best_epoch is not None  # a full trial has a curve
        return Provenance(
            study=self.folder.name,
            dataset_uri=self.folder.read().dataset,
            fingerprint=dataset.fingerprint,
            dataset_name=dataset.manifest.name,
            num_patients=dataset.manifest.num_patients,
            trial=trial,
            num_trials=self.num_trials,
            seed=seed,
            best_epoch=row.best_epoch,
            earlier_test_readings=self._unsealing(dataset).num_readings(),
        )


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
        state = own_weights(config, dataset, folder.location, checkpoint)
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
        return own_weights(config, dataset, folder.location, checkpoint)
    except (SeplError, OSError) as problem:
        tell(f"the trial's own weights cannot be read ({problem}); known values rest on calibration patients alone")
        return None
