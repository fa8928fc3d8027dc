"""A probe on real files: what it keeps, and how it goes on after a kill."""

import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.models.backbone.depth import count_stages
from sepl.models.build import build_head
from sepl.training.probe.features import Encoder
from sepl.tuning.probe import stage
from sepl.tuning.probe.record import PROBE, closed_form_skill, probe_candidate, read_probe
from sepl.tuning.probe.sampling import sample_heads, sources_of
from sepl.tuning.probe.stage import ProbeOptions, run_probe
from sepl.tuning.record.record import StudyFolder
from sepl.tuning.space.space import SearchSpace

Probed = Any  # of conftest.py


def probe(folder: StudyFolder, space: SearchSpace, num_heads: int = 16) -> None:
    storage = str(folder.location.local_path().parent)
    heads = sample_heads(space, num_heads)
    run_probe(storage, folder.name, heads, sources_of(space), ProbeOptions(num_heads), lambda _: None)


def test_a_probe_leaves_a_ranking_regressions_and_the_best_head(probed: Probed, dataset: PreparedDataset) -> None:
    record = read_probe(probed.folder)

    assert record is not None
    (found,) = record.backbones
    skills = [head.skill for head in found.heads if head.skill is not None]
    assert found.backbone == "test_resnet"
    assert 8 <= len(found.heads) <= 16
    assert skills == sorted(skills, reverse=True)
    assert found.best is not None
    assert found.best.skill >= skills[0]
    assert closed_form_skill(probed.folder) == found.closed_form
    assert set(found.closed_form_skills) <= set(dataset.tasks.names)
    assert [line.partition(":")[0] for line in probed.said] == ["probe", "probe"]
    assert "regressions on the same features" in probed.said[-1]


def test_the_sealed_patients_are_never_looked_at(probed: Probed) -> None:
    assert probed.asked == {"train", "validation"}


def test_the_best_head_is_a_model_with_the_whole_backbone_frozen(probed: Probed, dataset: PreparedDataset) -> None:
    candidate = probe_candidate(probed.folder)

    assert candidate is not None
    encoder = Encoder.build(candidate.config.model, dataset.image_spec.size)
    assert candidate.config.training.frozen_stages == count_stages(encoder.backbone)
    head = build_head(candidate.config.model, encoder.num_features, dataset.tasks)
    head.load_state_dict(load_file(candidate.file.local_path()))
    assert candidate.as_row().best_skill == candidate.skill
    assert TrialConfig.from_params(candidate.as_row().config) == candidate.config


def test_what_was_probed_is_not_probed_again(
    probed: Probed, space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (probed.folder.location / PROBE).read_bytes()
    monkeypatch.setattr(stage, "train_heads", None)

    probe(probed.folder, space)

    assert (probed.folder.location / PROBE).read_bytes() == before


def killed_among_the_heads(folder: StudyFolder, space: SearchSpace, begun: Path) -> None:
    def stall(*_: object, **__: object) -> None:
        begun.touch()
        time.sleep(60)

    stage.train_heads = stall  # type: ignore[assignment]
    probe(folder, space)


def test_after_a_kill_whole_features_are_used_again_and_the_probe_comes_to_the_same(
    folder: StudyFolder, space: SearchSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, probed_once: Probed
) -> None:
    begun = tmp_path / "begun"
    driver = multiprocessing.get_context("fork").Process(target=killed_among_the_heads, args=(folder, space, begun))
    driver.start()
    while not begun.exists():
        time.sleep(0.02)
    assert driver.pid is not None
    os.kill(driver.pid, signal.SIGKILL)
    driver.join(60)
    assert read_probe(folder) is None
    kept = sorted((tmp_path / "runs" / "features").glob("*.arrow"))
    assert len(kept) == 3  # train as it is and changed, validation

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the features were there")

    monkeypatch.setattr(Encoder, "encode", refuse)
    probe(folder, space)

    again, before = read_probe(folder), read_probe(probed_once.folder)
    assert again is not None
    assert before is not None
    assert [head.skill for head in again.backbones[0].heads] == pytest.approx(
        [head.skill for head in before.backbones[0].heads], abs=1e-6
    )
    assert sorted((tmp_path / "runs" / "features").glob("*.arrow")) == kept


def test_on_few_directions_the_best_head_is_kept_on_all_features(
    folder: StudyFolder, space: SearchSpace, dataset: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "NUM_DIRECTIONS", 4)
    monkeypatch.setattr(stage, "_NUM_FINALISTS", 1)

    probe(folder, space, num_heads=4)

    candidate = probe_candidate(folder)
    assert candidate is not None
    assert candidate.directions in (4, None)
    width = Encoder.build(candidate.config.model, dataset.image_spec.size).num_features
    shapes = [tensor.shape for tensor in load_file(candidate.file.local_path()).values()]
    assert any(width in shape for shape in shapes)
    assert np.isfinite(candidate.skill)
