"""Features are what the backbone of a trial makes of photographs."""

import numpy as np
import torch

from sepl.config import ModelConfig
from sepl.models.backbone.build import build_backbone
from sepl.models.pixels import to_input
from sepl.training.probe.features import Encoder

SMALL = ModelConfig(backbone="test_resnet")
PIXELS = np.random.default_rng(0).integers(0, 255, (5, 32, 32, 3), np.uint8)


def test_features_are_those_of_the_backbone_in_evaluation_mode_in_the_order_of_the_shards() -> None:
    encoder = Encoder.build(SMALL, 32, seed=3)
    torch.manual_seed(3)
    backbone, num_features = build_backbone("test_resnet", weights="none", image_size=32, drop_path=0.0)

    features_NF = encoder.encode([PIXELS[:2], PIXELS[2:]])

    with torch.no_grad():
        expected = backbone.eval()(to_input(torch.from_numpy(PIXELS), *encoder.normalisation))
    assert features_NF.shape == (5, num_features)
    torch.testing.assert_close(torch.from_numpy(features_NF), expected, rtol=1e-4, atol=1e-5)


def test_the_same_weights_have_the_same_digest_and_others_another() -> None:
    digests = [Encoder.build(SMALL, 32, seed=seed).weights_sha256 for seed in (0, 0, 1)]

    assert digests[0] == digests[1] != digests[2]


def test_a_changed_view_is_the_same_every_time_and_each_draw_is_its_own() -> None:
    encoder = Encoder.build(SMALL, 32)

    plain, first, again, second = (
        encoder.encode([PIXELS], strength=strength, draw=draw) for strength, draw in ((0, 0), (1, 0), (1, 0), (1, 1))
    )

    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, plain)


def test_building_leaves_the_random_numbers_of_others_as_they_were() -> None:
    before = torch.get_rng_state()

    Encoder.build(SMALL, 32, seed=9)

    assert torch.equal(torch.get_rng_state(), before)


def test_no_photographs_have_no_features() -> None:
    encoder = Encoder.build(SMALL, 32)

    assert encoder.encode([]).shape == (0, encoder.num_features)
