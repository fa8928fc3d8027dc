"""Trials that are trained here."""

import math
from pathlib import Path
from typing import Any

import pytest
from builders import build_dataset

from sepl.training.input.batches import TrainingData
from sepl.tuning.search.backends.in_process import InProcessBackend
from sepl.tuning.search.backends.loop import Result

PARAMS: dict[str, Any] = {
    "backbone": "test_resnet",
    "hidden_width": 16,
    "batch_size": 8,
    "num_epochs": 2,
    "task_split": "demographic",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return TrainingData.load(build_dataset(tmp_path_factory.mktemp("data"), num_patients=24), device="cpu")


def epoch(backend: InProcessBackend) -> Result:
    return backend.next_result()[1]


def test_a_trial_that_was_kept_goes_on_as_if_it_had_not_stopped(data: TrainingData, tmp_path: Path) -> None:
    config = {"number": 3, "params": PARAMS}
    straight, paused = InProcessBackend(data, tmp_path / "none"), InProcessBackend(data, tmp_path)
    straight.start(config)
    expected = [epoch(straight) for _ in range(2)]

    paused.start(config)
    told = [epoch(paused)]
    paused.end(3, is_kept=True)
    paused.start({"number": 4, "params": {**PARAMS, "learning_rate": 1e-2}})
    epoch(paused)
    paused.end(4, is_kept=False)
    paused.start(config)
    told.append(epoch(paused))

    for one, other in zip(told, expected, strict=True):
        assert {**one, "time_this_iter_s": 0} == {**other, "time_this_iter_s": 0}
    assert (told[1]["epoch"], told[1]["is_last"]) == (2, True)


def test_a_config_that_cannot_be_built_fails_with_its_reason(data: TrainingData, tmp_path: Path) -> None:
    backend = InProcessBackend(data, tmp_path)
    backend.start({"number": 0, "params": {**PARAMS, "weights": "/nowhere.pth"}})

    trial, result = backend.next_result()

    assert trial == 0
    assert math.isnan(result["best_skill"])
    assert "/nowhere.pth" in result["failure"]
