"""A dataset's features of one backbone, in every view that heads are trained with."""

from pathlib import Path

import numpy as np
import pytest
import torch
from builders import build_dataset

from sepl.config import ModelConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.training.probe.frozen import FrozenBackbone
from sepl.training.probe.store import FeatureStore


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return build_dataset(tmp_path_factory.mktemp("data"), num_patients=12)


def frozen(dataset: PreparedDataset, place: Path, num_views: int = 2) -> FrozenBackbone:
    model = ModelConfig(backbone="test_resnet")
    return FrozenBackbone(model, dataset, FeatureStore(place, 10**9), num_views, strength=1.0)


def test_heads_learn_from_each_view_of_the_train_photographs_and_are_judged_on_others_as_they_are(
    dataset: PreparedDataset, tmp_path: Path
) -> None:
    backbone = frozen(dataset, tmp_path)

    data = backbone.data()

    train, judged = dataset.photographs("train"), dataset.photographs("validation")
    assert [len(view_NF) for view_NF in data.views] == [train.num_photographs] * 3
    assert np.array_equal(data.views[0].numpy(), backbone.encoder.encode(train.shards))
    assert np.array_equal(data.judged_NF.numpy(), backbone.encoder.encode(judged.shards))
    assert not torch.equal(data.views[1], data.views[2])
    scaled_NT = dataset.scaler.scale(train.labels_NT)
    assert np.allclose(data.targets_NT.numpy()[np.isfinite(scaled_NT)], scaled_NT[np.isfinite(scaled_NT)])
    assert len(list(tmp_path.glob("*.arrow"))) == 4


def test_with_nothing_left_to_choose_validation_photographs_teach_too_each_with_its_own_labels(
    dataset: PreparedDataset, tmp_path: Path
) -> None:
    data = frozen(dataset, tmp_path, num_views=0).data_without_choice()

    parts = [dataset.photographs(name) for name in ("train", "validation")]
    scaled_NT = dataset.scaler.scale(np.concatenate([part.labels_NT for part in parts]))
    assert data.validation is None
    assert len(data.views[0]) == sum(part.num_photographs for part in parts)
    assert np.array_equal(data.present_NT.numpy() > 0, np.isfinite(scaled_NT))


def test_regressions_are_judged_on_every_task_that_validation_patients_can_judge(
    dataset: PreparedDataset, tmp_path: Path
) -> None:
    skills = frozen(dataset, tmp_path).closed_form_skills()

    assert skills
    assert set(skills) <= set(dataset.tasks.names)
    assert all(np.isfinite(list(skills.values())))
