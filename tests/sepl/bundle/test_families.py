"""Config, bundle, scorer: the same outputs, whatever the family."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from bundles import TASKS, bundle_content, draw_fundus

from sepl.bundle.format import read_bundle, write_bundle
from sepl.config import Family, ModelConfig, TrialConfig
from sepl.data.imaging.photograph import ImageSpec
from sepl.errors import ConfigError
from sepl.models.build import build_network
from sepl.models.predict import predict_outputs
from sepl.scoring.scorer import Scorer

_WIDTHS = {"sepl": {"num_experts": 2, "task_split": "demographic"}, "mmoe": {}, "cgc": {}, "ple": {}, "ctan": {}}


@pytest.mark.parametrize("fusion", ["none", "attention"])
@pytest.mark.parametrize("family", get_args(Family))
def test_a_bundle_gives_the_outputs_of_the_network_that_it_was_made_of(
    family: Family, fusion: str, tmp_path: Path
) -> None:
    width = {"hidden_width": 8, **_WIDTHS[family]} if family in _WIDTHS else {}
    model = ModelConfig.parse({"family": family, "backbone": "test_convnext", "fusion": fusion, **width}, "test")
    network = build_network(model, TASKS, 32)
    pixels_NHWC = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    patients = np.array([0, 1, 0, 2, 1])
    image = ImageSpec(size=32).for_network(network.normalisation)
    content = bundle_content(config=TrialConfig(model=model), image=image, state=network.state_dict())

    write_bundle(tmp_path / "bundle", **content)

    scorer = Scorer(read_bundle(tmp_path / "bundle"), device="cpu")
    for given in (None, patients):
        expected_NT = predict_outputs(network, [pixels_NHWC], device=torch.device("cpu"), patients=given)
        np.testing.assert_array_equal(scorer.outputs([pixels_NHWC], given), expected_NT)
    [score] = scorer.score_bytes([("drawn", draw_fundus())])
    assert score.status == "ok"
    assert f"`{family}`" in (tmp_path / "bundle" / "model_card.md").read_text() or family == "sepl"


@pytest.mark.parametrize("propagation", ["oracle", "shuffled"])
def test_a_network_that_is_told_true_priors_is_not_published(propagation: str, tmp_path: Path) -> None:
    content = bundle_content()
    config = content["config"].with_params(propagation=propagation)

    with pytest.raises(ConfigError, match=f"what is published, was '{propagation}'"):
        write_bundle(tmp_path / "bundle", **{**content, "config": config})

    assert not (tmp_path / "bundle").exists()
