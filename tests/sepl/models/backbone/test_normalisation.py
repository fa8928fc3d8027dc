"""Pixels are normalised as they were for the weights that a backbone may start from."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sepl.data.imaging.photograph import IMAGENET, Normalisation
from sepl.errors import ConfigError
from sepl.models.backbone.normalisation import backbone_normalisation

HALVES = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    ("backbone", "expected"),
    [
        ("test_efficientnet", IMAGENET),
        ("test_resnet", HALVES),
        ("test_vit", HALVES),
        ("test_convnext", HALVES),
        ("convnext_tiny", IMAGENET),
        ("mobilenetv4_conv_small", IMAGENET),
        ("resnet50", IMAGENET),
        ("vit_small_patch16_224", HALVES),
        ("vit_large_patch16_224", HALVES),
        ("vit_large_patch16_224.mae", IMAGENET),
        ("tf_efficientnetv2_s", HALVES),
        ("tf_efficientnetv2_s.in1k", HALVES),
        ("tf_efficientnet_b0.aa_in1k", IMAGENET),
        ("tf_efficientnet_lite0", HALVES),
        ("tf_efficientnet_lite1", HALVES),
        ("tf_efficientnet_lite2.in1k", HALVES),
    ],
)
def test_a_backbone_has_the_numbers_of_timms_weights_for_its_name_and_tag(
    backbone: str, expected: Normalisation
) -> None:
    assert backbone_normalisation(backbone) == expected
    assert backbone_normalisation(backbone, "pretrained") == expected


def test_a_file_of_the_backbone_changes_nothing(tmp_path: Path) -> None:
    save_file({"stem.conv.weight": torch.zeros(1)}, tmp_path / "weights.safetensors")

    assert backbone_normalisation("test_vit", str(tmp_path / "weights.safetensors")) == HALVES


@pytest.mark.parametrize(
    ("backbone", "tensor"),
    [
        ("vit_large_patch16_224", "decoder_embed.weight"),  # as RETFound's
        ("convnext_base.clip_laion2b", "features.1.0.layer_scale"),  # as torchvision's
    ],
)
def test_a_file_that_other_code_wrote_was_trained_as_for_imagenet(backbone: str, tensor: str, tmp_path: Path) -> None:
    save_file({tensor: torch.zeros(1)}, tmp_path / "weights.safetensors")

    assert backbone_normalisation(backbone) != IMAGENET
    assert backbone_normalisation(backbone, str(tmp_path / "weights.safetensors")) == IMAGENET


def test_a_file_that_is_absent_is_refused() -> None:
    with pytest.raises(ConfigError, match="found no file"):
        backbone_normalisation("test_vit", "/nowhere/weights.pth")
