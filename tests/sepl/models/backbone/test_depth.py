"""What is frozen, and how rates fall towards the stem."""

import re

import pytest
import torch
from torch import nn

from sepl.config import ModelConfig
from sepl.errors import ConfigError
from sepl.models.backbone.depth import count_stages, freeze_stages, layer_scales
from sepl.models.build import build_network
from sepl.models.parts.network import MultiTaskNetwork
from sepl.tasks import BUILT_IN_TASKS, TaskTable

TASKS = TaskTable.of([BUILT_IN_TASKS[name] for name in ("sex", "age", "sbp", "dbp")])
BACKBONES = ["test_resnet", "test_convnext", "test_vit", "test_efficientnet"]


def build(backbone: str, family: str = "hard_sharing") -> MultiTaskNetwork:
    return build_network(ModelConfig.parse({"family": family, "backbone": backbone}, "here"), TASKS, 32)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_rates_rise_from_the_stem_to_the_last_layer_and_heads_are_left_out(backbone: str) -> None:
    network = build(backbone)

    scales = layer_scales(network, 0.5)

    names = [name for name, _ in network.named_parameters()]
    in_order = [scales[name] for name in names if name in scales and "embed" not in name and "token" not in name]
    assert {name for name in names if name not in scales} == {"head.weight", "head.bias"}
    assert min(scales.values()) == scales[next(name for name in names if name.startswith("backbone."))] < 0.2
    assert max(scales.values()) == 1
    assert in_order == sorted(in_order)


def test_scales_are_powers_of_the_distance_from_the_last_layer() -> None:
    scales = layer_scales(build("test_vit"), 0.8)

    assert scales["backbone.norm.weight"] == 1  # timm counts the norm to the last block
    assert scales["backbone.blocks.5.norm1.weight"] == 1
    assert scales["backbone.blocks.2.norm1.weight"] == pytest.approx(0.8**3)
    assert scales["backbone.patch_embed.proj.weight"] == pytest.approx(0.8**6)


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("num_stages", [1, 3])
def test_the_first_stages_stop_and_the_rest_learns(backbone: str, num_stages: int) -> None:
    network = build(backbone)

    freeze_stages(network, num_stages)

    learns = [parameter.requires_grad for parameter in network.get_submodule("backbone").parameters()]
    assert learns == sorted(learns)
    assert 0 < sum(learns) < len(learns)
    assert all(parameter.requires_grad for parameter in network.get_submodule("head").parameters())


def test_what_is_frozen_is_told_with_its_norms() -> None:
    network = build("test_resnet").train()

    for module in freeze_stages(network, 2):
        module.eval()

    assert not network.get_submodule("backbone.bn1").training
    assert not network.get_submodule("backbone.layer1.0.bn1").training
    assert network.get_submodule("backbone.layer2.0.bn1").training


def test_a_whole_backbone_can_be_frozen_and_no_more() -> None:
    network = build("test_resnet")
    freeze_stages(network, 5)

    assert not any(parameter.requires_grad for parameter in network.get_submodule("backbone").parameters())
    with pytest.raises(ConfigError, match="frozen_stages should be at most 5 for this backbone, was 6"):
        freeze_stages(build("test_resnet"), 6)


@pytest.mark.parametrize("family", ["single_task", "soft_sharing", "cross_stitch", "mtan"])
def test_every_backbone_of_a_family_is_frozen_alike(family: str) -> None:
    network = build("test_convnext", family)

    freeze_stages(network, 2)

    frozen = [name for name, parameter in network.named_parameters() if not parameter.requires_grad]
    names = [name for name, _ in network.named_parameters()]
    assert frozen
    assert {name for name in names if ".stem." in name} <= set(frozen)
    assert not {name for name in frozen if ".stages.1." in name or ".stages.2." in name}
    assert set(layer_scales(network, 0.5)) >= set(frozen)


@pytest.mark.parametrize("backbone", ["test_convnext", "test_resnet", "test_vit"])
def test_stitched_layers_keep_the_depth_of_the_layer_that_they_are_copies_of(backbone: str) -> None:
    expected = layer_scales(build(backbone), 0.5)

    stitched = layer_scales(build(backbone, "cross_stitch"), 0.5)

    depths = {re.sub(r"copies\.\d+\.", "", name): scale for name, scale in stitched.items()}
    assert depths == expected


def test_a_network_without_a_backbone_of_timms_is_refused() -> None:
    with pytest.raises(ConfigError, match="need a backbone whose layers timm names"):
        layer_scales(nn.Linear(2, 2), 0.5)


def test_a_step_moves_layers_by_their_rates() -> None:
    from sepl.training.engine.optimiser import build_optimiser, set_learning_rate

    network = build("test_vit")
    optimiser = build_optimiser(network, learning_rate=1.0, weight_decay=0.0, layer_decay=0.5)
    set_learning_rate(optimiser, 0.01)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)

    optimiser.step()

    moved = {name: (before[name] - parameter.detach()).mean().item() for name, parameter in network.named_parameters()}
    assert moved["head.weight"] == pytest.approx(
        0.01, rel=1e-3
    )  # AdamW's first step is the rate, whatever the gradient
    assert moved["backbone.blocks.4.norm1.weight"] == pytest.approx(0.005, rel=1e-3)
    assert moved["backbone.cls_token"] == pytest.approx(0.01 / 64, rel=1e-2)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_as_many_stages_as_there_are_leave_nothing_of_the_backbone_to_learn(backbone: str) -> None:
    network = build(backbone)

    freeze_stages(network, count_stages(network.get_submodule("backbone")))

    assert not any(parameter.requires_grad for parameter in network.get_submodule("backbone").parameters())
