"""A search in a few lines."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from builders import build_dataset

import sepl
from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import ConfigError, StudyError

FILE = """
NUM_EPOCHS = 2
FIRST_POINTS = [{"learning_rate": 1e-3}]


def space(trial):
    trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    return {"backbone": "test_resnet", "hidden_width": 16, "batch_size": 8, "task_split": "demographic"}
"""


def space(trial: Any) -> dict[str, Any]:
    trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    return {"backbone": "test_resnet", "hidden_width": 16, "batch_size": 8, "task_split": "demographic"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return build_dataset(tmp_path_factory.mktemp("data"), num_patients=24)


def test_a_function_is_searched_and_its_best_setting_can_be_trained(dataset: PreparedDataset) -> None:
    found = sepl.search(dataset, space, num_trials=3, num_epochs=2, scheduler="promotion", device="cpu")

    frame = found.frame()
    assert len(frame) == 3
    assert frame.state.iloc[0] == "complete"
    assert set(frame.state) <= {"complete", "pruned"}
    assert found.config.training.learning_rate == frame.learning_rate.iloc[0]
    assert found.config.training.num_epochs == 2
    assert repr(found).startswith("<SearchResult: ")


def test_a_file_is_searched_from_its_first_points_alike_every_time(dataset: PreparedDataset, tmp_path: Path) -> None:
    (tmp_path / "space.py").write_text(FILE)

    found = [sepl.search(dataset, tmp_path / "space.py", num_trials=2, device="cpu") for _ in range(2)]

    curves = [{row.number: (row.params, row.curve) for row in one.board.root} for one in found]
    assert curves[0] == curves[1]
    assert curves[0][0][0] == {"learning_rate": 1e-3}


def test_a_search_without_time_has_no_best_and_says_so(dataset: PreparedDataset) -> None:
    found = sepl.search(dataset, space, num_trials=3, num_epochs=2, time_budget="0s", device="cpu")

    with pytest.raises(StudyError, match="no trial ran to the end"):
        _ = found.config


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"space": space}, "num_epochs should be at least 1 where space is a function, was None"),
        ({"space": "some.module", "num_epochs": 3}, "num_epochs should be left out where space is a file"),
        ({"space": space, "num_epochs": 3, "num_trials": 0}, "num_trials should be at least 1, was 0"),
    ],
)
def test_a_wrong_argument_is_named(dataset: PreparedDataset, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        sepl.search(dataset, **asked)


def test_a_search_in_a_notebook_does_not_load_ray() -> None:
    code = "import sys, sepl; sepl.search; print('ray' in sys.modules)"

    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
