"""A study whose trials begin with weights, and all of its space tried on a small dataset."""

from pathlib import Path

import pytest
import torch
from builders import build_dataset
from safetensors.torch import save_file

from sepl.data.dataset.dataset import PreparedDataset
from sepl.models.backbone.build import build_backbone
from sepl.tuning.record.record import StudyFolder, StudyRecord
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


@pytest.fixture
def space(tmp_path: Path, weights: str, dataset: PreparedDataset) -> SearchSpace:
    (tmp_path / "space.py").write_text(SPACE.format(weights=weights))
    return load_space(str(tmp_path / "space.py")).for_tasks(dataset.tasks)


@pytest.fixture
def folder(tmp_path: Path, dataset: PreparedDataset) -> StudyFolder:
    """A study that has begun and has no trial."""
    place = StudyFolder.at(str(tmp_path / "runs"), "probed")
    place.write(
        StudyRecord(
            study="probed",
            dataset=str(dataset.uri),
            fingerprint=dataset.fingerprint,
            space="space.py",
            space_sha256="",
            num_epochs=3,
            seed=0,
            optuna_url=None,
        )
    )
    return place
