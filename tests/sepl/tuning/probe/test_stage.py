"""A probe on real files: what it keeps, and how it goes on after a kill."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

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

OPTIONS = ProbeOptions(num_heads=16)


def probe(folder: StudyFolder, space: SearchSpace, said: list[str] | None = None) -> None:
    storage = str(folder.location.local_path().parent)
    tell = (lambda _: None) if said is None else said.append
    run_probe(storage, folder.name, sample_heads(space, 16), sources_of(space), OPTIONS, tell)


def test_a_probe_leaves_a_ranking_regressions_and_the_best_head(
    folder: StudyFolder, space: SearchSpace, dataset: PreparedDataset
) -> None:
    said: list[str] = []

    probe(folder, space, said)

    record = read_probe(folder)
    assert record is not None
    (found,) = record.backbones
    skills = [head.skill for head in found.heads if head.skill is not None]
    assert found.backbone == "test_resnet"
    assert 8 <= len(found.heads) <= 16
    assert skills == sorted(skills, reverse=True)
    assert found.best is not None
    assert found.best.skill >= skills[0]
    assert closed_form_skill(folder) == found.closed_form
    assert set(found.closed_form_skills) <= set(dataset.tasks.names)
    assert [line.partition(":")[0] for line in said] == ["probe", "probe"]
    assert "regressions on the same features" in said[-1]


def test_the_best_head_is_a_model_with_the_whole_backbone_frozen(
    folder: StudyFolder, space: SearchSpace, dataset: PreparedDataset
) -> None:
    probe(folder, space)

    candidate = probe_candidate(folder)

    assert candidate is not None
    encoder = Encoder.build(candidate.config.model, dataset.image_spec.size)
    assert candidate.config.training.frozen_stages == count_stages(encoder.backbone)
    head = build_head(candidate.config.model, encoder.num_features, dataset.tasks)
    head.load_state_dict(load_file(candidate.file.local_path()))
    assert candidate.as_row().best_skill == candidate.skill
    assert TrialConfig.from_params(candidate.as_row().config) == candidate.config


def test_what_was_probed_is_not_probed_again(
    folder: StudyFolder, space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe(folder, space)
    before = (folder.location / PROBE).read_bytes()
    monkeypatch.setattr(stage, "train_heads", None)

    probe(folder, space)

    assert (folder.location / PROBE).read_bytes() == before


def killed_among_the_heads(folder: StudyFolder, space: SearchSpace, begun: Path) -> None:
    def stall(*_: object, **__: object) -> None:
        begun.touch()
        time.sleep(60)

    stage.train_heads = stall  # type: ignore[assignment]
    probe(folder, space)


def test_after_a_kill_whole_features_are_used_again_and_the_probe_comes_to_the_same(
    folder: StudyFolder, space: SearchSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    monkeypatch.setattr(Encoder, "encode", None)

    probe(folder, space)

    record = read_probe(folder)
    assert record is not None
    assert record.of(sources_of(space)[0]) is not None
    assert sorted((tmp_path / "runs" / "features").glob("*.arrow")) == kept


def test_the_sealed_patients_are_never_looked_at(
    folder: StudyFolder, space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    photographs = PreparedDataset.photographs

    def noted(self: PreparedDataset, *cohort_splits: str) -> object:
        asked.extend(cohort_splits)
        return photographs(self, *cohort_splits)

    monkeypatch.setattr(PreparedDataset, "photographs", noted)

    probe(folder, space)

    assert set(asked) == {"train", "validation"}


def test_on_few_directions_the_best_head_is_kept_on_all_features(
    folder: StudyFolder, space: SearchSpace, dataset: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "NUM_DIRECTIONS", 4)
    probe(folder, space)

    candidate = probe_candidate(folder)
    assert candidate is not None
    assert candidate.directions in (4, None)
    width = Encoder.build(candidate.config.model, dataset.image_spec.size).num_features
    shapes = [tensor.shape for tensor in load_file(candidate.file.local_path()).values()]
    assert any(width in shape for shape in shapes)
    assert np.isfinite(candidate.skill)
