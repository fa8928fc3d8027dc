"""One small prepared dataset for all tests of training: they only read it."""

import pytest
from builders import build_dataset

from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.training.input.batches import TrainingData


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return build_dataset(tmp_path_factory.mktemp("training"), num_patients=60, image_size=32)


@pytest.fixture(scope="session")
def data(dataset: PreparedDataset) -> TrainingData:
    return TrainingData.load(dataset, device="cpu")


@pytest.fixture(scope="session")
def config() -> TrialConfig:
    return TrialConfig.from_params(
        {
            "backbone": "test_efficientnet",
            "task_split": "demographic",
            "num_experts": 2,
            "hidden_width": 16,
            "num_epochs": 4,
            "batch_size": 16,
            "learning_rate": 3e-3,
            "weight_decay": 0.01,
        }
    )
