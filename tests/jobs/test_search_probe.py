"""The probe of a search as a command that is killed and resumed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from builders import build_dataset
from safetensors.torch import save_file

from sepl.bundle.registry import Registry
from sepl.models.backbone.build import build_backbone
from sepl.tuning.probe.record import PROBE, read_probe
from sepl.tuning.record.record import StudyFolder

ROOT = Path(__file__).parents[2]
SPACE = """
NUM_EPOCHS = 2
FIRST_POINTS = []


def space(trial):
    trial.suggest_float("learning_rate", 1e-3, 1e-1, log=True)
    trial.suggest_categorical("num_experts", [1, 2])
    return {{"backbone": "test_resnet", "weights": "{weights}", "hidden_width": 8, "task_split": "demographic"}}
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def searching(folder: Path, *more: str) -> list[str]:
    where = ["--data", f"{folder}/data/dataset", "--space", f"{folder}/space.py", "--storage", f"{folder}/runs"]
    return [sys.executable, "-m", "jobs.search", *where, "--study", "first", "--num-trials", "2", *more]


def test_a_study_killed_within_its_probe_goes_on_with_the_features_that_are_whole(tmp_path: Path) -> None:
    build_dataset(tmp_path / "data")
    torch.manual_seed(0)
    backbone, _ = build_backbone("test_resnet", weights="none", image_size=32, drop_path=0.0)
    save_file(backbone.state_dict(), str(tmp_path / "weights.safetensors"))
    (tmp_path / "space.py").write_text(SPACE.format(weights=tmp_path / "weights.safetensors"))
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    features, probe = tmp_path / "runs" / "features", tmp_path / "runs" / "first" / PROBE
    driver = subprocess.Popen(searching(tmp_path), cwd=ROOT, env=environment)
    while driver.poll() is None and not list(features.glob("*.arrow")):
        time.sleep(0.02)
    driver.send_signal(signal.SIGKILL)
    driver.wait(120)
    assert not probe.exists()
    before = {path: path.stat().st_ino for path in features.glob("*.arrow")}

    resumed = subprocess.run(
        searching(tmp_path, "--resume"), cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert resumed.returncode == 0, resumed.stderr
    assert "probe: features of test_resnet" in resumed.stdout
    assert "closed form" in resumed.stdout
    assert "probe against fine-tuning, test_resnet" in resumed.stdout
    assert all(path.stat().st_ino == inode for path, inode in before.items())
    assert read_probe(StudyFolder.at(str(tmp_path / "runs"), "first")) is not None
    assert Registry(tmp_path / "runs" / "registry").show("first").evaluation is not None
    assert "ridge and logistic regressions" in (tmp_path / "runs" / "first" / "report.html").read_text()
