"""Any timm model as a backbone, and one clear line for what cannot be one."""

import logging

import pytest
import timm
import torch

from sepl.errors import ConfigError
from sepl.models.backbone.build import build_backbone

SMALL = [
    ("test_vit", 32),
    ("test_vit", 64),
    ("test_convnext", 32),
    ("test_resnet", 48),
    ("test_efficientnet", 32),
    ("test_maxvit", 64),
    ("test_nfnet", 64),
    ("mobilenetv4_conv_small_035", 32),
    ("mobilenetv4_conv_small", 64),
    ("lcnet_035", 32),
    ("convnext_atto", 32),
    ("levit_128s", 64),
]


def build(
    name: str, weights: str = "none", image_size: int = 32, drop_path: float = 0.0
) -> tuple[torch.nn.Module, int]:
    return build_backbone(name, weights=weights, image_size=image_size, drop_path=drop_path)


@pytest.mark.parametrize(("name", "image_size"), SMALL)
def test_a_timm_model_gives_one_vector_of_the_width_it_says(name: str, image_size: int) -> None:
    backbone, num_features = build(name, image_size=image_size)

    features_BF = backbone(torch.randn(2, 3, image_size, image_size))

    assert features_BF.shape == (2, num_features)
    assert backbone.training


def test_the_width_is_measured_where_timms_own_attribute_is_another() -> None:
    backbone, num_features = build("mobilenetv4_conv_small")

    assert num_features == 1280
    assert backbone.num_features == 960


def test_the_final_norm_of_timm_is_kept() -> None:
    backbone, _ = build("test_convnext")

    features_BF = backbone.eval()(100 * torch.randn(4, 3, 32, 32))

    torch.testing.assert_close(features_BF.var(dim=1, correction=0), torch.ones(4), atol=0.05, rtol=0)


def test_the_dry_run_leaves_the_running_statistics_alone() -> None:
    torch.manual_seed(1)
    backbone, _ = build("test_resnet")
    torch.manual_seed(1)
    untouched = timm.create_model("test_resnet", num_classes=0)

    torch.testing.assert_close(backbone.state_dict(), untouched.state_dict(), atol=0, rtol=0)


def test_drop_path_drops_in_training_and_not_in_evaluation() -> None:
    backbone, _ = build("test_vit", drop_path=0.9)
    images = torch.randn(2, 3, 32, 32)

    trained = [backbone(images) for _ in range(2)]
    evaluated = [backbone.eval()(images) for _ in range(2)]

    assert not torch.equal(*trained)
    assert torch.equal(*evaluated)


@pytest.mark.parametrize("name", ["test_efficientnet", "efficientvit_b0"])
def test_a_model_without_a_path_to_drop_is_built_with_a_warning(name: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        backbone, _ = build(name, drop_path=0.5)
    images = torch.randn(2, 3, 32, 32)

    assert torch.equal(backbone(images), backbone(images))
    assert [record.getMessage() for record in caplog.records] == [
        f"backbone {name} has no path to drop in timm: drop_path 0.5 has no effect on it"
    ]


def test_an_unknown_name_is_refused_with_near_ones() -> None:
    with pytest.raises(ConfigError, match="should be a timm model, was 'convnext_tinny'; near it: convnext_tiny"):
        build("convnext_tinny")


def test_a_name_that_is_near_nothing_is_refused_too() -> None:
    with pytest.raises(ConfigError, match=r"was 'hf-hub:someone/something'; `timm.list_models\(\)` lists them"):
        build("hf-hub:someone/something")


def test_an_unknown_tag_of_weights_is_refused_with_the_choices() -> None:
    with pytest.raises(ConfigError, match=r"backbone test_vit: the tag should be one of r160_in1k, was 'nope'"):
        build("test_vit.nope")


def test_an_image_size_that_the_model_cannot_take_is_refused() -> None:
    with pytest.raises(ConfigError, match="backbone test_maxvit cannot take images of 50 px"):
        build("test_maxvit", image_size=50)


def test_published_weights_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"backbone test_vit4 cannot be had .*: give a weight file or 'none'"):
        build("test_vit4", weights="pretrained")


def test_weights_that_name_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"weights should be 'none', 'pretrained' or the path of .* was 'imagenet'"):
        build("test_vit", weights="imagenet")


@pytest.mark.parametrize("name", ["test_convnext", "test_vit"])
def test_the_final_norm_can_be_left_out(name: str) -> None:
    torch.manual_seed(1)
    with_norm, num_features = build(name)
    torch.manual_seed(1)
    without, same_width = build_backbone(name, weights="none", image_size=32, drop_path=0.0, final_norm=False)
    images = torch.randn(4, 3, 32, 32)

    features_BF, normalised_BF = without.eval()(images), with_norm.eval()(images)

    assert num_features == same_width
    expected = torch.nn.functional.layer_norm(features_BF, (num_features,), eps=1e-6)
    torch.testing.assert_close(normalised_BF, expected, atol=1e-4, rtol=1e-4)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(features_BF, normalised_BF)


def test_a_backbone_without_a_final_norm_has_none_to_leave_out() -> None:
    with pytest.raises(ConfigError, match="final_norm should stay True for backbone test_resnet"):
        build_backbone("test_resnet", weights="none", image_size=32, drop_path=0.0, final_norm=False)
