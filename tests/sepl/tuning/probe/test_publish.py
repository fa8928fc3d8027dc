"""The network of a probe's head says what the head said on features."""

from dataclasses import replace
from typing import Any

import optuna
import pytest
import torch
from safetensors.torch import load_file

from sepl.bundle.registry import Registry
from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import StudyError
from sepl.models.build import build_network
from sepl.models.predict import predict_outputs
from sepl.scoring.scorer import Scorer
from sepl.training.input.batches import ValidationSet
from sepl.training.supervised.validation import validation_skills
from sepl.tuning.probe.ask import ONLY_PROBED
from sepl.tuning.probe.publish import candidate_weights
from sepl.tuning.probe.record import PROBE_NUMBER, probe_candidate
from sepl.tuning.record.record import ENDED
from sepl.tuning.results.leaderboard import leaderboard
from sepl.tuning.selection import select_winner
from sepl.tuning.selection.candidates import find_candidates

Probed = Any  # of conftest.py


def test_the_published_network_has_the_skill_that_its_head_was_chosen_for(
    probed: Probed, dataset: PreparedDataset
) -> None:
    candidate = probe_candidate(probed.folder)
    assert candidate is not None

    again, chosen = candidate_weights(probed.folder, candidate, dataset, lambda _: None)

    network = build_network(candidate.config.model, dataset.tasks, dataset.image_spec.size, initialise=False)
    network.load_state_dict(chosen)
    photographs = dataset.photographs("validation")
    judged = ValidationSet(photographs, photographs.labels_per_patient(dataset.tasks))
    outputs_NO = predict_outputs(network, photographs.shards, device=torch.device("cpu"))
    skills = validation_skills(outputs_NO, judged, dataset.scaler, dataset.tasks)
    assert sum(skills.values()) / len(skills) == pytest.approx(candidate.skill, abs=1e-3)
    assert skills == pytest.approx(candidate.skills, abs=1e-3)
    head = {f"head.{name}": tensor for name, tensor in load_file(candidate.file.local_path()).items()}
    assert all(torch.equal(chosen[name], tensor) for name, tensor in head.items())
    assert again.keys() == chosen.keys()
    of_backbone = [name for name in chosen if name.startswith("backbone.")]
    assert all(torch.equal(again[name], chosen[name]) for name in of_backbone)
    assert not all(torch.equal(again[name], chosen[name]) for name in head)


def end_study(probed: Probed, skill: float | None = None) -> None:
    """With one full trial where a skill is given."""
    storage = probed.folder.open_optuna_storage(None)
    study = optuna.create_study(study_name="probed", storage=storage, direction="maximize")
    if skill is not None:
        candidate = probe_candidate(probed.folder)
        assert candidate is not None
        trial = study.ask()
        trial.set_user_attr("config", {**candidate.config.to_params(), "num_epochs": 1, "frozen_stages": 0})
        trial.report(skill, 1)
        study.tell(trial, skill)
    study.set_user_attr(ENDED, ONLY_PROBED)


def test_a_study_that_only_probed_publishes_its_best_head_as_a_bundle_that_scores(
    probed: Probed, dataset: PreparedDataset
) -> None:
    end_study(probed)
    storage = probed.folder.location.local_path().parent

    winner = select_winner(str(storage), "probed", lambda _: None)

    bundle = Registry(storage / "registry").show("probed")
    candidate = probe_candidate(probed.folder)
    assert candidate is not None
    assert winner.row.number == PROBE_NUMBER
    assert bundle.manifest.config == candidate.config
    assert bundle.manifest.config.training.frozen_stages > 0
    assert bundle.manifest.provenance.trial == "the probe's best head, on a backbone that stayed as it was"
    assert winner.evaluation.num_patients == dataset.photographs("test").num_patients
    Scorer(bundle)


@pytest.mark.parametrize(("skill", "is_trial"), [(1.0, True), (-1.0, False)])
def test_a_trial_and_the_probes_head_compete_by_their_skill_on_validation_patients(
    probed: Probed, skill: float, is_trial: bool
) -> None:
    end_study(probed, skill)

    (first,) = find_candidates(leaderboard(probed.folder.load_study()), probed.folder, 1)

    assert first.is_trial is is_trial


def test_a_damaged_head_is_told_before_anything_is_trained(probed: Probed, dataset: PreparedDataset) -> None:
    candidate = probe_candidate(probed.folder)
    assert candidate is not None
    damaged = probed.folder.location / "damaged.safetensors"
    damaged.write_bytes(candidate.file.read_bytes()[:50])
    told: list[str] = []

    with pytest.raises(StudyError, match=r"damaged\.safetensors: should be the probe's head as safetensors"):
        candidate_weights(probed.folder, replace(candidate, file=damaged), dataset, told.append)

    assert not told
