"""The scales of the released code's labels, and what of a checkpoint is not one of its own."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from released import COLUMNS, label_scales

from sepl.bundle.release import TASKS, read_label_scales, release_content
from sepl.errors import ConfigError
from sepl.tasks import SEPL_RELEASE_COLUMNS

OURS = {column: task for task, column in SEPL_RELEASE_COLUMNS.items()}


def written(folder: Path, content: object) -> Path:
    (folder / "scales.json").write_text(json.dumps(content))
    return folder / "scales.json"


@given(are_ours=st.lists(st.booleans(), min_size=len(COLUMNS), max_size=len(COLUMNS)), order=st.permutations(COLUMNS))
def test_scales_are_found_by_either_name_in_any_order(
    are_ours: list[bool], order: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    name_of = {column: OURS[column] if ours else column for column, ours in zip(COLUMNS, are_ours, strict=True)}
    path = written(tmp_path_factory.mktemp("scales"), {name_of[column]: label_scales()[column] for column in order})

    scaler = read_label_scales(path)

    for column, scale in label_scales().items():
        place = TASKS.index(OURS[column])
        assert (scaler.medians[place], scaler.iqrs[place]) == (scale["center"], scale["scale"])
    assert len(scaler.medians) == len(TASKS)


def test_sex_is_not_scaled(tmp_path: Path) -> None:
    scaler = read_label_scales(written(tmp_path, label_scales()))

    assert (scaler.medians[TASKS.index("sex")], scaler.iqrs[TASKS.index("sex")]) == (0.0, 1.0)


@pytest.mark.parametrize("column", COLUMNS)
def test_an_absent_column_is_named(column: str, tmp_path: Path) -> None:
    scales = {name: scale for name, scale in label_scales().items() if name != column}

    with pytest.raises(ConfigError, match=f"absent: {column}; unknown: none"):
        read_label_scales(written(tmp_path, scales))


@pytest.mark.parametrize("name", ["sex", "AGE ", "age"])
def test_a_column_that_is_no_other_or_comes_by_both_names_is_told(name: str, tmp_path: Path) -> None:
    scales = {**label_scales(), name: {"center": 0.0, "scale": 1.0}}

    with pytest.raises(ConfigError, match=f"absent: none; unknown: {name}"):
        read_label_scales(written(tmp_path, scales))


@pytest.mark.parametrize(
    "scale",
    [
        {"center": 1.0, "scale": 0.0},
        {"center": 1.0, "scale": -2.0},
        {"center": float("nan"), "scale": 1.0},
        {"center": 1.0, "scale": float("inf")},
        {"center": 1.0},
        {"center": 1.0, "scale": 1.0, "mean": 1.0},
        [1.0, 1.0],
    ],
)
def test_what_is_no_scale_is_refused_with_its_column(scale: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="SBP"):
        read_label_scales(written(tmp_path, {**label_scales(), "SBP": scale}))


@pytest.mark.parametrize(("text", "told"), [("{", "should be a JSON file"), ("[1]", "a JSON object, were list")])
def test_what_is_no_json_object_is_refused(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "scales.json").write_text(text)

    with pytest.raises(ConfigError, match=told):
        read_label_scales(tmp_path / "scales.json")


def test_a_checkpoint_without_experts_is_no_release(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pth")

    with pytest.raises(ConfigError, match=r"saved by the released SePL code, has no matrix experts\.0\.img_fc\.weight"):
        release_content(tmp_path / "other.pth", written(tmp_path, label_scales()), "authors")
