"""Every weighting in whole training runs."""

from typing import Any

import pytest
import torch

from sepl.config import TrialConfig, WeightingName
from sepl.errors import ConfigError
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun, train

WAYS: dict[WeightingName, dict[str, Any]] = {
    "fixed": {"task_weights": {"sbp": 2.0, "diabetes": 0.0}},
    "uncertainty_laplace": {},
    "dwa": {},
    "famo": {},
    "stch": {"stch_warmup_epochs": 1},
    "upgrad": {},
    "pcgrad": {},
}
"""One of each kind: with learned parameters, with memory of epochs or steps, with a solver, with random numbers."""


@pytest.mark.parametrize("name", WAYS)
def test_it_learns_and_a_run_stopped_within_an_epoch_ends_with_the_same_bits(
    name: WeightingName, config: TrialConfig, data: TrainingData, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = config.with_params(num_epochs=3, weighting=name, **WAYS[name])
    folder = tmp_path_factory.mktemp("checkpoint")
    uninterrupted = TrainingRun(config, data)
    results = list(train(uninterrupted))

    first = TrainingRun(config, data)

    def save_amid_the_second_epoch() -> None:
        if first.steps_done == first.num_steps // 2:
            first.save(folder)

    for _ in range(2):
        first.run_epoch(after_step=save_amid_the_second_epoch)
    second = TrainingRun(config, data)
    second.restore(folder)
    list(train(second))

    assert results[-1].train_loss < results[0].train_loss
    expected = uninterrupted.best_state()
    assert all(torch.equal(value, expected[key]) for key, value in second.best_state().items())


@pytest.mark.parametrize("name", ["uncertainty_laplace", "upgrad", "famo"])
def test_under_bfloat16_it_learns_too(name: str, config: TrialConfig, data: TrainingData) -> None:
    results = list(train(TrainingRun(config.with_params(precision="bfloat16", num_epochs=3, weighting=name), data)))

    assert results[-1].train_loss < results[0].train_loss


@pytest.mark.parametrize("family", ["mtan", "ctan", "mmoe", "cgc"])
def test_gradients_are_weighed_in_every_family_with_a_trunk(family: str, data: TrainingData) -> None:
    params = {"backbone": "test_convnext", "num_epochs": 3, "batch_size": 16, "learning_rate": 1e-3, "family": family}
    config = TrialConfig.from_params(params)
    runs = [TrainingRun(config.with_params(weighting=name), data) for name in ("upgrad", "equal")]
    results = [list(train(run)) for run in runs]

    assert results[0][-1].train_loss < results[0][0].train_loss
    states = [run.best_state() for run in runs]
    assert not all(torch.equal(value, states[1][key]) for key, value in states[0].items())


def test_a_family_without_a_trunk_says_so(config: TrialConfig, data: TrainingData) -> None:
    config = TrialConfig.from_params({"family": "single_task", "backbone": "test_resnet", "weighting": "upgrad"})

    with pytest.raises(ConfigError, match="weighting upgrad looks at gradients where all tasks share"):
        TrainingRun(config, data)
