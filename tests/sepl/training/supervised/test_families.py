"""Every family through the engine: parts of a batch, moving averages, rates by depth, weightings, kills."""

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from interrupted import resumed_run

from sepl.config import Family, TrialConfig
from sepl.errors import ConfigError
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun

FAMILIES = get_args(Family)
WITHOUT_TRUNK = ("single_task", "soft_sharing", "cross_stitch")


def config_of(family: str, **changes: Any) -> TrialConfig:
    width = {"num_experts": 2} if family in ("sepl", "mmoe", "cgc", "ple") else {}
    width |= {"hidden_width": 16} if family in ("sepl", "mmoe", "cgc", "ple", "ctan") else {}
    return TrialConfig.from_params(
        {
            "family": family,
            "backbone": "test_convnext",
            "task_split": "demographic",
            "drop_path": 0.1,
            "batch_size": 16,
            "num_epochs": 2,
            "learning_rate": 1e-3,
            **width,
            **changes,
        }
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_a_run_killed_within_an_epoch_ends_with_the_same_bits(family: str, data: TrainingData, tmp_path: Path) -> None:
    config = config_of(family, fusion="attention", ema_decay=0.9, layer_decay=0.8, frozen_stages=1)
    whole, resumed = TrainingRun(config, data), resumed_run(config, data, tmp_path)

    for run in (whole, resumed):
        while not run.finished:
            run.run_epoch()

    expected, found = whole.best_state(), resumed.best_state()
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_in_parts_moves_a_network_as_the_whole_does(family: str, data: TrainingData) -> None:
    config = config_of(family, fusion="mean", drop_path=0.0, augment_strength=0.0, num_epochs=1)
    whole, parts = TrainingRun(config, data), TrainingRun(config.with_params(micro_batch_size=3), data)

    for run in (whole, parts):
        run.run_epoch()

    torch.testing.assert_close(whole.best_state(), parts.best_state(), atol=2e-4, rtol=1e-2)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_are_weighed_where_tasks_share_a_representation(family: str, data: TrainingData) -> None:
    config = config_of(family, weighting="upgrad", num_epochs=1)

    if family in WITHOUT_TRUNK:
        with pytest.raises(ConfigError, match="which this family has not"):
            TrainingRun(config, data)
    else:
        assert TrainingRun(config, data).run_epoch().train_loss > 0
