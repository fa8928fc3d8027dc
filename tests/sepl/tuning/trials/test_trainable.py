"""A trial's process without a cluster around it: the Trainable driven as Ray drives it."""

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from builders import build_dataset
from ray.tune import Checkpoint
from ray.tune.result import SHOULD_CHECKPOINT

from sepl.data.dataset.dataset import PreparedDataset
from sepl.tuning.search.names import IS_LAST
from sepl.tuning.trials.trainable import SeplTrainable

NUM_EPOCHS = 4
PARAMS = {
    "backbone": "test_resnet",
    "num_epochs": NUM_EPOCHS,
    "hidden_width": 16,
    "batch_size": 8,
    "learning_rate": 3e-3,
    "task_split": "demographic",
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return build_dataset(tmp_path_factory.mktemp("data"))


def config_of(dataset: PreparedDataset, resume_from: Path | None = None, **params: Any) -> dict[str, Any]:
    surroundings = {
        "dataset": str(dataset.uri),
        "fingerprint": dataset.fingerprint,
        "storage": str(dataset.uri),
        "cpus": 1,
        "gpus": 0.0,
        "checkpoint_seconds": 3600.0,
    }
    return {
        "params": {**PARAMS, **params},
        "number": 0,
        "earlier": [],
        "resume_from": None if resume_from is None else str(resume_from),
        "surroundings": surroundings,
    }


def skills(trainable: SeplTrainable, num_epochs: int) -> list[float]:
    return [trainable.step()["best_skill"] for _ in range(num_epochs)]


def test_an_epoch_comes_back_as_plain_values(dataset: PreparedDataset) -> None:
    result = SeplTrainable(config_of(dataset)).step()

    assert result["epoch"] == 1
    assert set(result["skills"]) == set(dataset.tasks.names)
    for value in [*result["skills"].values(), *result.values()]:
        assert isinstance(value, int | float | bool | dict)


def test_a_trial_that_gets_no_better_ends_itself_and_is_saved(dataset: PreparedDataset) -> None:
    stalled = {"learning_rate": 1e-12, "num_epochs": 50, "early_stopping_epochs": 1, "warmup_epochs": 0.0}
    trainable = SeplTrainable(config_of(dataset, backbone="test_vit", **stalled))

    results = [trainable.step()]
    while not results[-1]["done"] and len(results) < 50:
        results.append(trainable.step())

    assert len(results) < 50
    assert [result[IS_LAST] for result in results] == [False] * (len(results) - 1) + [True]
    assert results[-1][SHOULD_CHECKPOINT]
    assert results[-1]["best_skill"] == results[-2]["best_skill"]


def test_a_finished_trial_whose_driver_died_before_it_was_told_repeats_itself(
    dataset: PreparedDataset, tmp_path: Path
) -> None:
    first = SeplTrainable(config_of(dataset))
    expected = skills(first, NUM_EPOCHS)
    first.save_checkpoint(str(tmp_path))

    again = SeplTrainable(config_of(dataset, resume_from=tmp_path))

    assert skills(again, NUM_EPOCHS) == expected


def test_a_trial_is_saved_when_it_has_run_all_its_epochs(dataset: PreparedDataset) -> None:
    trainable = SeplTrainable(config_of(dataset))

    is_due = [trainable.step()[SHOULD_CHECKPOINT] for _ in range(NUM_EPOCHS)]

    assert is_due == [False] * (NUM_EPOCHS - 1) + [True]


def test_the_next_trial_in_a_warm_process_is_as_in_a_new_one(dataset: PreparedDataset) -> None:
    fresh = skills(SeplTrainable(config_of(dataset, num_experts=2)), 2)
    warm = SeplTrainable(config_of(dataset))
    warm.step()

    assert warm.reset(config_of(dataset, num_experts=2))

    assert skills(warm, 2) == fresh


def test_a_trial_goes_on_from_a_checkpoint_as_if_nothing_had_happened(dataset: PreparedDataset, tmp_path: Path) -> None:
    whole = SeplTrainable(config_of(dataset))
    expected = skills(whole, NUM_EPOCHS)
    interrupted = SeplTrainable(config_of(dataset))
    skills(interrupted, 2)
    interrupted.save_checkpoint(str(tmp_path))

    resumed = SeplTrainable(config_of(dataset, resume_from=tmp_path))

    assert skills(resumed, 2) == expected[2:]


def test_a_trial_restored_by_tune_after_a_crash_goes_on_too(dataset: PreparedDataset, tmp_path: Path) -> None:
    trainable = SeplTrainable(config_of(dataset))
    trainable.step()
    trainable.save_checkpoint(str(tmp_path))
    retried = SeplTrainable(config_of(dataset))

    retried.restore(Checkpoint.from_directory(tmp_path))

    assert retried.step()["epoch"] == 2


def test_a_pickle_in_a_checkpoints_folder_is_not_read(dataset: PreparedDataset, tmp_path: Path) -> None:
    trainable = SeplTrainable(config_of(dataset))
    trainable.step()
    trainable.save_checkpoint(str(tmp_path))
    (tmp_path / "_dict_checkpoint.pkl").write_bytes(b"no pickle at all")
    again = SeplTrainable(config_of(dataset))

    again.restore(Checkpoint.from_directory(tmp_path))

    assert again.step()["epoch"] == 2


def test_a_checkpoint_that_is_gone_means_beginning_again(dataset: PreparedDataset, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path)

    result = SeplTrainable(config_of(dataset, resume_from=tmp_path)).step()

    assert result["epoch"] == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"learning_rate": 1e9}, "not finite"),
        ({"backbone": "no_such_backbone"}, "no_such_backbone"),
        ({"task_split": "no_such_task"}, "no_such_task"),
    ],
)
def test_what_goes_wrong_ends_this_trial_with_a_reason(
    dataset: PreparedDataset, changes: dict[str, Any], reason: str
) -> None:
    trainable = SeplTrainable(config_of(dataset, **changes))

    result = trainable.step()

    assert result["done"]
    assert math.isnan(result["best_skill"])
    assert reason in result["failure"]
    assert trainable.reset(config_of(dataset))
    assert trainable.step()["epoch"] == 1  # the next trial in this process


def test_a_dataset_that_changed_fails_the_trial(dataset: PreparedDataset) -> None:
    config = config_of(dataset)
    config["surroundings"]["fingerprint"] = "before"

    result = SeplTrainable(config).step()

    assert "changed since the study began" in result["failure"]


def test_a_checkpoint_holds_no_pickle(dataset: PreparedDataset, tmp_path: Path) -> None:
    trainable = SeplTrainable(config_of(dataset))
    trainable.step()

    trainable.save_checkpoint(str(tmp_path))

    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".json"}


def test_a_save_that_the_disk_refuses_costs_the_checkpoint_alone(dataset: PreparedDataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder can be made below")
    trainable = SeplTrainable(config_of(dataset))
    trainable.step()

    saved = trainable.save(str(tmp_path / "file" / "checkpoint"))

    assert not saved.checkpoint
    assert "Not a directory" in trainable.step()["unsaved"]
    assert "unsaved" not in trainable.step()


def test_a_dataset_that_is_gone_is_not_the_trials_fault(dataset: PreparedDataset, tmp_path: Path) -> None:
    config = config_of(dataset)
    config["surroundings"]["dataset"] = str(tmp_path / "gone")

    result = SeplTrainable(config).step()

    assert result["done"]
    assert result["waits"]
    assert "no prepared dataset at" in result["failure"]


def test_a_config_that_is_wrong_is_the_trials_own_fault(dataset: PreparedDataset) -> None:
    result = SeplTrainable(config_of(dataset, backbone="no_such_backbone")).step()

    assert result["done"]
    assert not result["waits"]
