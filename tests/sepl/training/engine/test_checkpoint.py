from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sepl.config import TrialConfig
from sepl.errors import ConfigError, StorageError
from sepl.training.engine.checkpoint import copy_to_cpu, load_checkpoint
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun


@pytest.fixture
def folder(config: TrialConfig, data: TrainingData, tmp_path: Path) -> Path:
    run = TrainingRun(config, data)
    run.run_epoch()
    run.save(tmp_path)
    return tmp_path


def test_a_checkpoint_is_safetensors_and_json(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {
        "weights.safetensors",
        "best.safetensors",
        "optimiser.safetensors",
        "average.safetensors",
        "objective.safetensors",
        "random.safetensors",
        "progress.json",
    }


def test_a_folder_without_progress_is_not_a_checkpoint(folder: Path) -> None:
    (folder / "progress.json").unlink()

    with pytest.raises(StorageError, match=r"whole checkpoint, has no progress\.json"):
        load_checkpoint(folder)


def test_a_damaged_file_is_named(folder: Path) -> None:
    (folder / "weights.safetensors").write_bytes(b"no tensors")

    with pytest.raises(StorageError, match=r"weights\.safetensors"):
        load_checkpoint(folder)


def test_a_run_of_another_config_or_dataset_is_refused_by_what_differs(
    folder: Path, config: TrialConfig, data: TrainingData
) -> None:
    other = TrainingRun(config.with_params(num_experts=3, seed=4), data)

    with pytest.raises(ConfigError, match="num_experts should be 3, was 2; seed should be 4, was 0"):
        other.restore(folder)
    progress = load_checkpoint(folder).progress
    with pytest.raises(ConfigError, match=f"dataset should be 'another', was '{data.fingerprint}'"):
        progress.check_is_of({"dataset": "another"}, folder)


def test_a_checkpoint_can_be_written_over(folder: Path, config: TrialConfig, data: TrainingData) -> None:
    run = TrainingRun(config, data)
    run.restore(folder)
    run.run_epoch()

    run.save(folder)

    assert load_checkpoint(folder).progress.epoch == 2


def test_copies_are_contiguous_and_their_own(tmp_path: Path) -> None:
    weight = torch.rand(4, 3, 2, 2).to(memory_format=torch.channels_last)

    copies = copy_to_cpu({"weight": weight, "count": torch.tensor(3)})
    again = copy_to_cpu({"weight": weight + 1, "count": torch.tensor(4)}, into=copies)

    save_file(copies, tmp_path / "copies.safetensors")  # which refuses what is not contiguous
    assert again["weight"].data_ptr() == copies["weight"].data_ptr()
    assert torch.equal(copies["weight"], weight + 1)
    assert copies["count"] == 4
