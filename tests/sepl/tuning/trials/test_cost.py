"""What a network costs, measured without leaving a trace in it."""

from pathlib import Path

import pytest
import torch
from builders import build_dataset

from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.models.build import build_network
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun
from sepl.tuning.trials.cost import cost_of_params, cost_of_trial, measure_cost

PARAMS = {"backbone": "test_resnet", "hidden_width": 16, "batch_size": 8, "task_split": "demographic", "num_epochs": 1}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return build_dataset(tmp_path_factory.mktemp("data"))


def trained(dataset: PreparedDataset, costs: str | None) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    config, data = TrialConfig.from_params(PARAMS), TrainingData.load(dataset, device="cpu")
    run = TrainingRun(config, data)
    cost = cost_of_trial(run.network, config, data, costs, num_threads=1)
    run.run_epoch()
    return run.network.state_dict(), cost


def test_training_is_the_same_bit_for_bit_after_a_measurement(dataset: PreparedDataset, tmp_path: Path) -> None:
    plain, nothing = trained(dataset, None)

    measured, cost = trained(dataset, str(tmp_path / "costs"))

    assert nothing == {}
    assert cost["num_parameters"] == sum(
        parameter.numel() for name, parameter in plain.items() if "running" not in name and "num_batches" not in name
    )
    assert all(torch.equal(plain[name], measured[name]) for name in plain)


def test_a_network_is_measured_once_and_comes_back_in_its_mode(dataset: PreparedDataset, tmp_path: Path) -> None:
    network = build_network(TrialConfig.from_params(PARAMS).model, dataset.tasks, 32)

    cost = measure_cost(network, 32, CPU)

    assert network.training
    assert 0 < cost.ms_per_photograph < 10_000
    first = cost_of_params(PARAMS, str(dataset.uri), str(tmp_path / "costs"), 1)
    assert first == cost_of_params({**PARAMS, "learning_rate": 0.5}, str(dataset.uri), str(tmp_path / "costs"), 1)
    assert first.num_parameters == cost.num_parameters
    assert len(list((tmp_path / "costs").iterdir())) == 1


def test_a_network_that_needs_labels_can_be_measured(dataset: PreparedDataset) -> None:
    oracle = TrialConfig.from_params({**PARAMS, "propagation": "oracle"}).model

    assert measure_cost(build_network(oracle, dataset.tasks, 32), 32, CPU).num_parameters > 0
