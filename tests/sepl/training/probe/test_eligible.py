"""What a head on frozen features cannot be."""

from typing import Any

import pytest

from sepl.config import TrialConfig
from sepl.errors import ConfigError
from sepl.training.probe.eligible import check_head


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"family": "mmoe"}, "family should be sepl or hard_sharing for a head on frozen features, was mmoe"),
        ({"weighting": "famo"}, "weighting should be equal or fixed for a head on frozen features, was famo"),
        ({"fusion": "mean"}, "fusion should be none for a head on frozen features, was mean"),
    ],
)
def test_what_no_head_on_features_can_be_is_refused_in_one_line(params: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        check_head(TrialConfig.from_params(params))


def test_what_a_search_usually_asks_is_taken() -> None:
    check_head(TrialConfig())
    check_head(TrialConfig.from_params({"weighting": "fixed", "task_weights": {"sbp": 2.0}}))
