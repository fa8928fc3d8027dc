"""Whether a checkpoint is whole is told by its files' own words."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from sepl.storage import resolve
from sepl.tuning.studies.kept import problem_of_checkpoint

WEIGHTS = save({"a": np.ones(5, np.float32), "b": np.zeros((2, 2))})


def test_the_trial_engine_writes_what_is_looked_for() -> None:
    from sepl.training.engine.checkpoint import PROGRESS_FILE
    from sepl.tuning.studies.kept import _LAST

    assert _LAST == PROGRESS_FILE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoint")


@given(length=st.integers(0, len(WEIGHTS)))
def test_only_the_whole_file_is_whole(folder: Path, length: int) -> None:
    (folder / "weights.safetensors").write_bytes(WEIGHTS[:length])
    (folder / "progress.json").write_text("{}")

    problem = problem_of_checkpoint(resolve(folder), str(folder))

    assert (problem is None) == (length == len(WEIGHTS))


@pytest.mark.parametrize("text", ["", "{"])
def test_progress_that_is_no_json_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "weights.safetensors").write_bytes(WEIGHTS)
    (tmp_path / "progress.json").write_text(text)

    assert "cannot be read" in str(problem_of_checkpoint(resolve(tmp_path), str(tmp_path)))


def test_a_folder_without_tensors_is_not_whole(tmp_path: Path) -> None:
    (tmp_path / "progress.json").write_text("{}")

    assert "no tensors" in str(problem_of_checkpoint(resolve(tmp_path), str(tmp_path)))
