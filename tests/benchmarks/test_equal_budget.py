"""What contenders at an equal budget have in common."""

from pathlib import Path

import numpy as np
import pytest
from builders import build_dataset

from benchmarks.support.equal_budget import SHORT, best_of, skills_of_seeds
from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun, train

SMALL = {**SHORT, "family": "hard_sharing", "num_epochs": 2, "warmup_epochs": 0.0}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return build_dataset(Path(tmp_path_factory.mktemp("cohort")), num_patients=40)


def test_the_setting_that_reaches_most_in_validation_is_chosen_wherever_it_stands(dataset: PreparedDataset) -> None:
    settings = [TrialConfig.from_params({**SMALL, "learning_rate": rate}) for rate in (1e-9, 3e-3)]
    data = TrainingData.load(dataset)
    reached = [max(epoch.best_skill for epoch in train(TrainingRun(setting, data))) for setting in settings]
    best = settings[reached.index(max(reached))]

    assert len(set(reached)) == 2
    assert best_of(settings, data) is best
    assert best_of(settings[::-1], data) is best


def test_a_single_setting_is_chosen_untrained(dataset: PreparedDataset) -> None:
    cannot_run = TrialConfig.from_params({**SMALL, "backbone": "resnet18", "weights": "/nowhere.pth"})

    assert best_of([cannot_run], TrainingData.load(dataset)) is cannot_run


def test_each_seed_has_its_own_skills_and_the_same_ones_again(dataset: PreparedDataset) -> None:
    config, data = TrialConfig.from_params(SMALL), TrainingData.load(dataset)

    skills_SBT = skills_of_seeds(config, data, dataset, 2)

    assert skills_SBT.shape[0] == 2
    assert skills_SBT.shape[2] == len(dataset.tasks)
    assert not np.array_equal(skills_SBT[0, 0], skills_SBT[1, 0], equal_nan=True)
    np.testing.assert_array_equal(skills_SBT[:1], skills_of_seeds(config, data, dataset, 1))
