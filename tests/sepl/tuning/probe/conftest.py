"""A study whose trials begin with weights, and all of its space tried on a small dataset."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from builders import build_dataset
from safetensors.torch import save_file
from unsearched import study_record

from sepl.data.dataset.dataset import Photographs, PreparedDataset
from sepl.models.backbone.build import build_backbone
from sepl.tuning.probe.sampling import sample_heads, sources_of
from sepl.tuning.probe.stage import ProbeOptions, run_probe
from sepl.tuning.record.record import StudyFolder
from sepl.tuning.space.space import SearchSpace, load_space

SPACE = """
NUM_EPOCHS = 3
FIRST_POINTS = [{{"learning_rate": 3e-3, "num_experts": 2, "task_split": "demographic", "frozen_stages": 1}}]


def space(trial):
    trial.suggest_float("learning_rate", 1e-3, 1e-1, log=True)
    trial.suggest_categorical("num_experts", [1, 2])
    trial.suggest_categorical("task_split", ["demographic", "none"])
    trial.suggest_int("frozen_stages", 0, 2)
    return {{
        "backbone": "test_resnet",
        "weights": "{weights}",
        "hidden_width": 8,
        "batch_size": 8,
        "propagation": "none",
    }}
"""


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return build_dataset(tmp_path_factory.mktemp("probed"))


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of a backbone's weights."""
    torch.manual_seed(5)
    backbone, _ = build_backbone("test_resnet", weights="none", image_size=32, drop_path=0.0)
    path = tmp_path_factory.mktemp("weights") / "resnet.safetensors"
    save_file(backbone.state_dict(), str(path))
    return str(path)


@pytest.fixture(scope="session")
def space(tmp_path_factory: pytest.TempPathFactory, weights: str, dataset: PreparedDataset) -> SearchSpace:
    file = tmp_path_factory.mktemp("space") / "space.py"
    file.write_text(SPACE.format(weights=weights))
    return load_space(str(file)).for_tasks(dataset.tasks)


def begin_study(storage: Path, dataset: PreparedDataset) -> StudyFolder:
    """One without a trial."""
    place = StudyFolder.at(str(storage), "probed")
    place.write(
        study_record(study="probed", dataset=str(dataset.uri), fingerprint=dataset.fingerprint, space_sha256="")
    )
    return place


@dataclass(frozen=True)
class Probed:
    """A study that was probed, and what was seen of it."""

    folder: StudyFolder
    said: list[str]
    asked: set[str]
    """Cohort splits that were looked at."""


@pytest.fixture
def folder(tmp_path: Path, dataset: PreparedDataset) -> StudyFolder:
    """A study that has begun and was not probed."""
    return begin_study(tmp_path / "runs", dataset)


@pytest.fixture(scope="session")
def probed_once(tmp_path_factory: pytest.TempPathFactory, dataset: PreparedDataset, space: SearchSpace) -> Probed:
    storage, said, asked = tmp_path_factory.mktemp("runs"), [], set()
    place, photographs = begin_study(storage, dataset), PreparedDataset.photographs

    def noted(self: PreparedDataset, *cohort_splits: str) -> Photographs:
        asked.update(cohort_splits)
        return photographs(self, *cohort_splits)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PreparedDataset, "photographs", noted)
        run_probe(str(storage), "probed", sample_heads(space, 16), sources_of(space), ProbeOptions(16), said.append)
    return Probed(place, said, asked)


@pytest.fixture
def probed(tmp_path: Path, probed_once: Probed) -> Probed:
    """A copy to change."""
    shutil.copytree(probed_once.folder.location.local_path().parent, tmp_path / "runs")
    return replace(probed_once, folder=StudyFolder.at(str(tmp_path / "runs"), "probed"))
