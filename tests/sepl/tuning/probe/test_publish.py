"""The network of a probe's head says what the head said on features."""

from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from sepl.data.dataset.dataset import PreparedDataset
from sepl.models.build import build_network
from sepl.models.predict import predict_outputs
from sepl.training.input.batches import ValidationSet
from sepl.training.supervised.validation import validation_skills
from sepl.tuning.probe.publish import candidate_weights
from sepl.tuning.probe.record import probe_candidate

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
