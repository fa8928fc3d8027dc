"""Whole training runs on grades and classes."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interrupted import resumed_run
from planted_data import GRADED_TASKS, data_of, graded_data

from sepl.config import TrialConfig
from sepl.tasks import Task, TaskTable
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import EpochResult, TrainingRun, train


@pytest.fixture(scope="module")
def small() -> TrainingData:
    return graded_data(0, num_train=64, num_validation=40)


def config_of(**changes: Any) -> TrialConfig:
    params = {"backbone": "test_resnet", "batch_size": 20, "num_epochs": 2, "learning_rate": 3e-3, **changes}
    if params.setdefault("family", "sepl") == "sepl":
        params = {"task_split": "grade+sex", "num_experts": 2, "hidden_width": 16, **params}
    return TrialConfig.from_params(params)


def results_of(data: TrainingData, **changes: Any) -> list[EpochResult]:
    return list(train(TrainingRun(config_of(**changes), data)))


def test_a_ten_class_task_learns_thirty_two_photographs_by_heart() -> None:
    rng = np.random.default_rng(0)
    tasks = TaskTable.of([Task(name="kind", kind="categorical", unit="", label="", levels=tuple("abcdefghij"))])
    labels_N1 = rng.permutation(np.arange(32) % 10)[:, None].astype(np.float64)
    pixels_NHWC = rng.integers(0, 256, (32, 32, 32, 3), dtype=np.uint8)
    pixels_NHWC = np.concatenate([pixels_NHWC, pixels_NHWC])  # those trained on are those judged
    labels_N1 = np.concatenate([labels_N1, labels_N1])
    data = data_of(labels_N1, pixels_NHWC, 32, tasks, photographs_each=1)

    results = results_of(
        data, family="hard_sharing", backbone="test_convnext", num_epochs=40, batch_size=16, augment_strength=0.0
    )

    assert results[-1].skill_per_task["kind"] > 0.95
    assert results[-1].train_loss < 0.1 * math.log(10)


def test_all_kinds_are_read_off_what_a_picture_shows() -> None:
    results = results_of(graded_data(0), num_epochs=25, augment_strength=0.0)

    best = max(results, key=lambda result: result.validation_skill).skill_per_task
    assert best["grade"] > 0.6, best
    assert best["worst"] > 0.6, best
    assert best["lens"] > 0.6, best
    assert best["sex"] > 0.6, best
    assert results[-1].train_loss < 0.6 * results[0].train_loss


WAYS: list[dict[str, Any]] = [
    {"weighting": "uncertainty_laplace", "binary_prior": "probability"},
    {"weighting": "dwa", "propagation": "oracle"},
    {"weighting": "famo", "family": "single_task", "micro_batch_size": 7},
    {"weighting": "upgrad", "propagation": "shuffled", "fusion": "attention"},
    {"weighting": "pcgrad", "family": "cgc"},
    {"fusion": "mean", "family": "mtan"},
    {
        "cooperative": True,
        "cooperative_noise": "ascent",
        "task_groups": "grade+worst/lens/sex+sbp",
        "group_width": 4,
        "micro_batch_size": 9,
    },
]


@pytest.mark.parametrize("changes", WAYS)
def test_a_run_of_any_way_learns_and_when_resumed_ends_with_the_same_bits(
    changes: dict[str, Any], small: TrainingData, tmp_path: Path
) -> None:
    config = config_of(**changes)
    whole, resumed = TrainingRun(config, small), resumed_run(config, small, tmp_path)

    results, _ = list(train(whole)), list(train(resumed))

    assert set(results[-1].skill_per_task) == set(GRADED_TASKS.names)
    assert math.isfinite(results[-1].train_loss)
    assert math.isfinite(results[-1].best_skill)
    expected, found = whole.best_state(), resumed.best_state()
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []
