"""The lines of docs/library.md, each run on a small simulated cohort."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from builders import build_dataset

import sepl
from sepl.bundle.format import read_bundle
from sepl.errors import ConfigError

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "library.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a notebook stands: a prepared dataset and a photograph."""
    folder = tmp_path_factory.mktemp("notebook")
    build_dataset(folder, num_patients=24)
    (folder / "dataset").rename(folder / "prepared")
    (folder / "photographs").mkdir()
    next((folder / "cohort" / "images").iterdir()).rename(folder / "photographs" / "eye.png")
    return folder


@pytest.fixture(scope="module")
def notebook(place: Path) -> dict[str, Any]:
    """What stands after each block: `scores` of one is under `scores NUMBER`."""
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for number, block in enumerate(BLOCKS):
            exec(block, names)  # the page's own lines
            names[f"scores {number}"] = names.get("scores")
    return names


def test_the_page_opens_trains_and_scores_a_path_an_array_and_a_dataframe(notebook: dict[str, Any]) -> None:
    path, arrays, frame = (notebook[f"scores {number}"] for number in (2, 3, 4))

    assert path.status.tolist() == ["ok"]
    assert path.attrs["units"]["sbp"] == "mmHg"
    assert arrays.num_photographs.tolist() == [2, 2]
    assert frame.loc["second", ["status", "reason"]].tolist() == ["failed", "file not found"]
    assert frame.patient.tolist() == ["7", "8"]


def test_an_array_scores_as_its_file(notebook: dict[str, Any], place: Path) -> None:
    model, file = notebook["model"], place / "photographs" / "eye.png"
    decoded = cv2.imread(str(file))
    assert decoded is not None
    pixels = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)

    of_file, of_array = model.score(file), model.score(pixels)

    pd.testing.assert_frame_equal(of_file.drop(columns="image"), of_array.drop(columns="image"))
    assert of_array.image.tolist() == ["0"]


def test_a_black_array_is_rejected_as_a_file_would_be(notebook: dict[str, Any]) -> None:
    scores = notebook["model"].score(np.zeros((2, 64, 64, 3), np.uint8))

    assert scores.status.tolist() == ["rejected", "rejected"]


def test_a_folder_and_a_table_are_read_as_the_command_reads_them(notebook: dict[str, Any], place: Path) -> None:
    model = notebook["model"]
    (place / "new.csv").write_text("image\nphotographs/eye.png\n")

    of_folder, of_table = model.score(place / "photographs"), model.score(place / "new.csv")

    assert of_folder.image.tolist() == ["eye.png"]
    assert of_table.age.tolist() == pytest.approx(of_folder.age.tolist())


@pytest.mark.parametrize(
    ("pixels", "was"),
    [
        (np.zeros((8, 8, 3)), r"\(8, 8, 3\) of float64"),
        (np.zeros((8, 8, 4), np.uint8), r"\(8, 8, 4\) of uint8"),
        ([np.zeros((8, 8), np.uint8)], r"\(8, 8\) of uint8"),
    ],
)
def test_an_array_that_is_no_photograph_is_one_line(notebook: dict[str, Any], pixels: Any, was: str) -> None:
    with pytest.raises(ConfigError, match=rf"^array 0 should be a photograph .* of uint8 RGB, was {was}$"):
        notebook["model"].score(pixels)


def test_a_dataframe_without_the_column_is_one_line(notebook: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^the DataFrame should have the column 'image', has file$"):
        notebook["model"].score(pd.DataFrame({"file": ["a.png"]}))


def test_a_model_tells_what_it_is(notebook: dict[str, Any]) -> None:
    model = notebook["model"]

    text = repr(model)

    assert text.startswith(f"<Model {model.bundle.bundle_id}: sepl on test_resnet, 32 px; sex, age, ")
    assert "; mean skill " in text
    assert text.endswith(f"on {model.evaluation.num_patients} validation patients>")


def test_training_publishes_where_it_is_told_and_loads_neither_ray_nor_optuna(place: Path) -> None:
    code = (
        "import sys, sepl; "
        "sepl.train('prepared', {'backbone': 'test_resnet', 'num_epochs': 1, 'hidden_width': 16}, out='bundle'); "
        "print({'ray', 'optuna'} & set(sys.modules))"
    )
    path = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"]

    assert subprocess.check_output(path, cwd=place, text=True) == "set()\n"
    assert read_bundle(place / "bundle").evaluation is not None


def test_the_command_that_trains_one_setting_loads_neither_ray_nor_optuna(place: Path, tmp_path: Path) -> None:
    config = sepl.TrialConfig.from_params({"backbone": "test_resnet", "num_epochs": 1, "hidden_width": 16})
    (tmp_path / "trial.json").write_text(config.model_dump_json())
    arguments = f"{str(place / 'prepared')!r}, Path({str(tmp_path / 'trial.json')!r}), {str(tmp_path / 'out')!r}"
    code = f"import sys; from pathlib import Path; from jobs.train import main; main({arguments}); " + (
        "assert not {'ray', 'optuna'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)

    assert read_bundle(tmp_path / "out").manifest.config == config
