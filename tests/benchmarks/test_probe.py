"""The comparison of heads trained together and alone is of the same heads."""

import pytest
from planted_data import planted_features

from benchmarks.probe import STRUCTURES, _drawn, _options, rates
from benchmarks.support.one_head import train_one_head
from sepl.config import ModelConfig
from sepl.training.probe.heads import train_heads


def test_both_contenders_come_to_the_same_skill() -> None:
    data, configs = planted_features(), rates(STRUCTURES[0], 3, num_epochs=2)

    together = train_heads(configs, data)

    assert [head.skill for head in together] == pytest.approx([train_one_head(c, data) for c in configs], abs=1e-4)


def test_settings_differ_in_their_learning_rate_alone() -> None:
    configs = rates(STRUCTURES[1], 5, num_epochs=2)

    params = [config.to_params() for config in configs]
    assert {name for name in params[0] if len({str(each[name]) for each in params}) > 1} == {"learning_rate"}


def test_settings_to_fine_tune_are_the_same_every_time_and_quick_takes_fewer() -> None:
    quick, full = _options(["--quick"]), _options([])

    drawn = _drawn(quick, ModelConfig(backbone="test_resnet"))

    assert drawn == _drawn(quick, ModelConfig(backbone="test_resnet"))
    assert len(drawn) == quick.num_tuned < full.num_tuned
    assert {config.model.backbone for config in drawn} == {"test_resnet"}
