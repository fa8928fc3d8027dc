"""The limits of a study in front of its trials, with Ray for what is not measured yet."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from builders import build_dataset
from optuna.trial import TrialState

from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.distributed.connect import connect
from sepl.storage import resolve
from sepl.tuning.record.costs import Cost, CostBook
from sepl.tuning.search.limits import Limits
from sepl.tuning.trials.gate import make_gate
from sepl.tuning.trials.packing import Packing

PACKING = Packing(cpus=1, gpus=0.0, concurrency=1)
CONSTANTS = {"backbone": "test_resnet", "task_split": "demographic", "batch_size": 8}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return build_dataset(tmp_path_factory.mktemp("data"), num_patients=8)


@pytest.fixture
def ray() -> Iterator[None]:
    with connect(None, num_cpus=1):
        yield


def proposals(widths: list[int]) -> tuple[optuna.Study, Any]:
    study = optuna.create_study(direction="maximize")
    for width in widths:
        study.enqueue_trial({"hidden_width": width})

    def ask() -> tuple[optuna.Trial, dict[str, Any]]:
        trial = study.ask()
        return trial, {**CONSTANTS, "hidden_width": trial.suggest_int("hidden_width", 1, 4096)}

    return study, ask


def test_without_limits_there_is_no_gate(dataset: PreparedDataset, tmp_path: Path) -> None:
    assert make_gate(Limits(), str(dataset.uri), str(tmp_path), PACKING, ()) is None


def test_what_was_measured_before_is_judged_without_a_cluster(dataset: PreparedDataset, tmp_path: Path) -> None:
    book = CostBook(resolve(tmp_path), dataset.image_spec.size, "cpu-1")
    for width, number in ((64, 500), (8, 50)):
        model = TrialConfig.from_params({**CONSTANTS, "hidden_width": width}).model
        book.keep(model, Cost(num_parameters=number, ms_per_photograph=1.0))
    gate = make_gate(Limits(max_parameters=100), str(dataset.uri), str(tmp_path), PACKING, ())
    assert gate is not None
    study, ask = proposals([64, 8])

    _, params = gate.first_within(study, ask)

    assert params["hidden_width"] == 8
    assert study.trials[0].state == TrialState.FAIL


@pytest.mark.usefixtures("ray")
def test_what_is_new_is_measured_in_a_worker_and_kept(dataset: PreparedDataset, tmp_path: Path) -> None:
    gate = make_gate(Limits(max_parameters=2_000_000), str(dataset.uri), str(tmp_path / "costs"), PACKING, ())
    assert gate is not None
    study, ask = proposals([2048, 8])

    trial, params = gate.first_within(study, ask)

    assert params["hidden_width"] == 8
    assert 0 < trial.user_attrs["num_parameters"] <= 2_000_000 < study.trials[0].user_attrs["num_parameters"]
    assert len(list((tmp_path / "costs").iterdir())) == 2
