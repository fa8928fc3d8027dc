"""A study that probes, driven without Ray: the cluster is this process."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import build_dataset
from optuna.trial import TrialState
from safetensors.torch import save_file

from sepl.distributed.connect import Node
from sepl.errors import ConfigError
from sepl.models.backbone.build import build_backbone
from sepl.tuning.plan import StudyPlan, plan_study
from sepl.tuning.probe.record import read_probe
from sepl.tuning.record.record import ENDED
from sepl.tuning.settings import StudySettings
from sepl.tuning.study import _own_database, _searcher, run_study
from sepl.tuning.trials.cluster import Cluster

SPACE = """
NUM_EPOCHS = 2
FIRST_POINTS = [{{"learning_rate": 3e-3, "num_experts": 1}}]


def space(trial):
    trial.suggest_float("learning_rate", 1e-3, 1e-1, log=True)
    trial.suggest_categorical("num_experts", [1, 2])
    return {{"backbone": "test_resnet", "weights": "{weights}", "hidden_width": 8, "task_split": "demographic"}}
"""


@dataclass(frozen=True)
class Here(Cluster):
    """This process."""

    def run_apart(self, packing: Any, function: Callable[..., Any], what: str, tell: Any = print) -> Any:
        assert packing.cpus == 2
        assert what == "the probe"
        return function(tell)


HERE = Here((Node(2, 0),), True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    build_dataset(folder / "data")
    backbone, _ = build_backbone("test_resnet", weights="none", image_size=32, drop_path=0.0)
    save_file(backbone.state_dict(), str(folder / "weights.safetensors"))
    (folder / "space.py").write_text(SPACE.format(weights=folder / "weights.safetensors"))
    (folder / "plain.py").write_text(SPACE.format(weights="none"))
    return folder


def plan(folder: Path, storage: Path, **changes: object) -> StudyPlan:
    asked = {
        "data": str(folder / "data" / "dataset"),
        "space": str(folder / "space.py"),
        "storage": str(storage),
        "study": "first",
        "probe_heads": 8,
    }
    return plan_study(StudySettings.parse({**asked, **changes}, "test"))


def test_a_study_that_only_probes_runs_no_trial_and_is_over_and_its_heads_are_points_to_begin_with(
    folder: Path, tmp_path: Path
) -> None:
    num_threads = torch.get_num_threads()
    planned = plan(folder, tmp_path, probe="only")

    result = run_study(planned, HERE)

    torch.set_num_threads(num_threads)
    record = read_probe(result.folder)
    assert record is not None
    assert result.ended == "the probe was all that was asked for"
    assert result.folder.load_study().user_attrs[ENDED] == result.ended
    assert [row.state for row in result.board.root] == ["waiting"] * len(result.board.root)
    assert json.loads((result.folder.location / "leaderboard.json").read_bytes()) is not None
    waiting = result.folder.load_study().get_trials(states=[TrialState.WAITING])
    points = [trial.user_attrs["point"] for trial in waiting]
    assert points[0] == {"learning_rate": 3e-3, "num_experts": 1}  # the space's own first point comes first
    assert {"learning_rate": 3e-3, "num_experts": 2} in points  # the author's rate with the probe's head


def test_without_a_probe_the_queue_is_the_spaces_own(folder: Path, tmp_path: Path) -> None:
    planned = plan(folder, tmp_path, probe="off")

    searcher = _searcher(planned, _own_database(planned), None)

    assert [trial.user_attrs["point"] for trial in searcher.study.get_trials()] == [
        {"learning_rate": 3e-3, "num_experts": 1}
    ]


def test_to_probe_only_what_has_no_weights_is_refused_before_anything_is_started(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--probe should be only where the search space has initial weights"):
        plan(folder, tmp_path, probe="only", space=str(folder / "plain.py"))
    assert not (tmp_path / "first").exists()
