"""An ensemble of the weights that trials kept: chosen greedily, with replacement, on the validation patients.

After Caruana, Niculescu-Mizil, Crew, Ksikes: Ensemble selection from libraries of models, ICML 2004: the library's
model that helps the mean of outputs most is added again and again; of all lengths the best is kept, the shortest of
equals. Members are not trained again, so that no validation patient has trained one.

N photographs · O outputs
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from numpy.typing import NDArray
from torch import Tensor

from sepl.bundle.format import BundleContent
from sepl.bundle.manifest import Member, Provenance
from sepl.bundle.members import joined_state
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.imaging.photograph import Normalisation
from sepl.device import pick_device
from sepl.errors import SeplError, StudyError
from sepl.models.backbone.normalisation import backbone_normalisation
from sepl.models.build import build_network
from sepl.models.predict import predict_outputs
from sepl.scoring.compose import calibrated_content
from sepl.storage import Location
from sepl.training.input.batches import ValidationSet
from sepl.training.supervised.validation import validation_skills
from sepl.tuning.record.record import StudyFolder
from sepl.tuning.selection.candidates import Candidate
from sepl.tuning.selection.own_weights import own_weights

Outputs = NDArray[np.float32]
Tell = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class _Model:
    """Of the library: a trial's own weights and what they say of the validation photographs."""

    candidate: Candidate
    state: dict[str, Tensor]
    outputs_NO: Outputs


def ensemble_content(
    folder: StudyFolder,
    trials: optuna.Study,
    candidates: Sequence[Candidate],
    dataset: PreparedDataset,
    provenance: Provenance,
    num_members: int,
    tell: Tell,
) -> BundleContent:
    """A bundle of `num_members` members at most, calibrated, not evaluated; `provenance` but for its trial.

    Raises StudyError when no candidate has kept weights that can be read.
    """
    library = _library(folder, trials, candidates, dataset, tell)
    photographs = dataset.photographs("validation")
    validation = ValidationSet(photographs, photographs.labels_per_patient(dataset.tasks))

    def skill(outputs_NO: Outputs) -> float:
        found = validation_skills(outputs_NO, validation, dataset.scaler, dataset.tasks)
        return float(np.nanmean(list(found.values())))

    votes = choose_members([model.outputs_NO for model in library], skill, num_members)
    chosen = sorted(
        ((model, count) for model, count in zip(library, votes, strict=True) if count), key=lambda row: -row[1]
    )
    members = tuple(_member(model, count) for model, count in chosen)
    named = ", ".join(f"{member.trial} × {member.votes}" for member in members)
    tell(f"ensemble of {named}, on validation patients {skill(_mean([m.outputs_NO for m in library], votes)):.3f}")
    state = joined_state([model.state for model, _ in chosen])
    first = chosen[0][0].candidate
    return calibrated_content(
        first.config,
        dataset,
        state,
        provenance.model_copy(update={"trial": f"ensemble of {named}", "best_epoch": first.row.best_epoch or 0}),
        members[0].normalisation,
        unvalidated=state,
        members=members,
    )


def choose_members(library: Sequence[Outputs], skill: Callable[[Outputs], float], num_rounds: int) -> list[int]:
    """How often each model of the library is chosen, from outputs (N, O), in so many rounds at most; one at least."""
    votes, best, best_skill = [0] * len(library), [0] * len(library), -math.inf
    for _ in range(num_rounds):
        tried = [[count + (place == added) for place, count in enumerate(votes)] for added in range(len(library))]
        skills = [skill(_mean(library, row)) for row in tried]
        votes = tried[int(np.argmax(skills))]
        if max(skills) > best_skill:
            best, best_skill = votes, max(skills)
    return best


def _mean(library: Sequence[Outputs], votes: Sequence[int]) -> Outputs:
    total = sum(votes)
    chosen = [(outputs_NO, count / total) for outputs_NO, count in zip(library, votes, strict=True) if count]
    return np.stack([outputs_NO * np.float32(weight) for outputs_NO, weight in chosen]).sum(axis=0, dtype=np.float32)


def _library(
    folder: StudyFolder, trials: optuna.Study, candidates: Sequence[Candidate], dataset: PreparedDataset, tell: Tell
) -> list[_Model]:
    library = []
    for candidate in candidates:
        if not candidate.is_trial:
            continue
        checkpoint = trials.trials[candidate.row.number].user_attrs.get("checkpoint")
        if checkpoint is None or not Location(folder.location.filesystem, checkpoint, checkpoint).exists():
            continue  # only the best few trials keep theirs
        try:
            state = own_weights(candidate.config, dataset, folder.location, checkpoint)
        except (SeplError, OSError) as problem:
            tell(f"{candidate.label} is left out: its weights cannot be read ({problem})")
            continue
        library.append(_Model(candidate, state, _outputs(candidate, state, dataset)))
    if not library:
        raise StudyError(f"study {folder.name}: no trial that ran to its end has kept weights for an ensemble")
    return library


def _outputs(candidate: Candidate, state: dict[str, Tensor], dataset: PreparedDataset) -> Outputs:
    photographs, device = dataset.photographs("validation"), pick_device("auto")
    network = build_network(
        candidate.config.model,
        dataset.tasks,
        dataset.image_spec.size,
        initialise=False,
        normalisation=_normalisation(candidate),
    )
    network.load_state_dict(state)
    patients = photographs.patient_index
    return predict_outputs(network.to(device), photographs.shards, device=device, patients=patients)


def _normalisation(candidate: Candidate) -> Normalisation:
    model = candidate.config.model
    return backbone_normalisation(model.backbone, model.weights)


def _member(model: _Model, votes: int) -> Member:
    mean, std = _normalisation(model.candidate)
    return Member(model=model.candidate.config.model, mean=mean, std=std, votes=votes, trial=model.candidate.label)
