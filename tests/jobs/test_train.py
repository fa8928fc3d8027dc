"""One trial as a command: trained, killed, gone on with, published."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
import torch
from builders import build_dataset

from jobs import train as job
from sepl.bundle.format import read_bundle
from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import ConfigError, StorageError
from sepl.training.engine.checkpoint import PROGRESS_FILE
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun, train

CONFIG = TrialConfig.from_params(
    {
        "backbone": "test_vit",
        "task_split": "demographic",
        "num_experts": 2,
        "hidden_width": 16,
        "num_epochs": 12,
        "batch_size": 4,
        "learning_rate": 3e-3,
        "drop_path": 0.2,
        "ema_decay": 0.9,
        "weighting": "dwa",
    }
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return build_dataset(tmp_path_factory.mktemp("data"), num_patients=24)


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    (tmp_path / "trial.json").write_text(CONFIG.model_dump_json())
    return tmp_path / "trial.json"


def test_a_setting_becomes_a_bundle_and_leaves_no_saves(
    dataset: PreparedDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = CONFIG.with_params(num_epochs=2)
    (tmp_path / "trial.json").write_text(config.model_dump_json())

    job.main(dataset.uri, tmp_path / "trial.json", str(tmp_path / "bundle"), seed=3, device="cpu", save_steps=1)

    told = capsys.readouterr().out
    bundle = read_bundle(tmp_path / "bundle")
    assert "epoch 2 of 2: loss" in told
    assert f"bundle: {tmp_path / 'bundle'} ({bundle.bundle_id})" in told
    assert bundle.manifest.config == config.with_params(seed=3)
    assert bundle.evaluation is not None
    assert bundle.evaluation.cohort_split == "validation"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "trial.json"]


def test_what_cannot_be_due_is_refused(dataset: PreparedDataset, config_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--save-minutes should be above 0"):
        job.main(dataset.uri, config_file, str(tmp_path / "bundle"), save_minutes=0)


def test_a_place_that_is_taken_is_refused_before_anything_is_trained(
    dataset: PreparedDataset, config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "notes.txt").write_text("somebody's")

    with pytest.raises(StorageError, match="bundle should be a new or an empty folder, holds something else"):
        job.main(dataset.uri, config_file, str(tmp_path / "bundle"), device="cpu")

    assert "epoch" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_to_the_same_bits(
    dataset: PreparedDataset, config_file: Path, tmp_path: Path
) -> None:
    uninterrupted = TrainingRun(CONFIG, TrainingData.load(dataset, device="cpu"))
    list(train(uninterrupted))
    kill_after = Random(time.time_ns()).randrange(2, uninterrupted.num_steps // 2)
    command = [sys.executable, "-m", "jobs.train", "--data", dataset.uri, "--config", str(config_file)]
    command += ["--out", str(tmp_path / "bundle"), "--device", "cpu", "--save-steps", "1"]

    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    _wait_for_step(process, tmp_path / "bundle.checkpoints", kill_after)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    again = subprocess.run(command, capture_output=True, text=True, check=False)

    assert process.returncode == -signal.SIGKILL
    assert again.returncode == 0, again.stderr
    step = int(again.stdout.partition("going on after step ")[2].partition(" of ")[0])
    assert kill_after <= step < uninterrupted.num_steps
    bundle = read_bundle(tmp_path / "bundle")
    expected = uninterrupted.best_state()
    assert bundle.state.keys() == expected.keys()
    assert not [name for name in expected if not torch.equal(bundle.state[name], expected[name])]
    assert bundle.manifest.provenance.best_epoch == uninterrupted.best_epoch


def _wait_for_step(process: subprocess.Popen[str], folder: Path, num_steps: int) -> None:
    """Until a whole save of so many steps or more is there."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        done = [int(path.parent.name.removeprefix("step-")) for path in folder.glob(f"step-*/{PROGRESS_FILE}")]
        if done and max(done) >= num_steps:
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.002)
    raise AssertionError("no save in time")
