"""At most four stages, the last always among them, and their maps as shaped as was said."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sepl.errors import ConfigError
from sepl.models.backbone.stages import MAX_STAGES, pick_stages, prune_to_stages, stage_maps, stage_names

SIZE = 64


def small_resnet() -> nn.Module:
    return timm.create_model("test_resnet.r160_in1k", pretrained=False)


@given(num_stages=st.integers(1, 60))
def test_the_stages_rise_to_the_last_and_are_as_many_as_there_is_room_for(num_stages: int) -> None:
    stages = pick_stages(cast(Any, SimpleNamespace(feature_info=[{}] * num_stages)))

    assert stages == sorted(set(stages))
    assert stages[0] >= 0
    assert stages[-1] == num_stages - 1
    assert len(stages) == min(num_stages, MAX_STAGES)


@given(num_stages=st.integers(MAX_STAGES + 2, 60))
def test_the_blocks_between_two_stages_are_even(num_stages: int) -> None:
    stages = pick_stages(cast(Any, SimpleNamespace(feature_info=[{}] * num_stages)))

    steps = [after - before for before, after in zip([-1, *stages], stages, strict=False)]
    assert max(steps) - min(steps) <= 1


def test_a_pyramid_of_five_leaves_its_stem_out() -> None:
    assert pick_stages(cast(Any, SimpleNamespace(feature_info=[{}] * 5))) == [1, 2, 3, 4]


def test_the_names_are_of_modules_of_the_backbone() -> None:
    backbone = small_resnet()

    names = stage_names(backbone)

    assert len(names) == len(pick_stages(backbone))
    assert set(names) <= set(dict(backbone.named_modules()))


@pytest.mark.parametrize("is_training", [True, False])
def test_a_pruned_backbone_gives_maps_of_the_shapes_told_and_keeps_its_mode(is_training: bool) -> None:
    backbone = small_resnet().train(is_training)
    whole = small_resnet().eval()
    whole.load_state_dict(backbone.state_dict())

    stages, shapes = prune_to_stages(backbone, "test_resnet", SIZE)

    assert backbone.training == is_training
    images_BCHW = torch.rand(2, 3, SIZE, SIZE)
    maps = stage_maps(backbone.eval(), stages, images_BCHW)
    assert [found.shape for found in maps] == [(2, *shape) for shape in shapes]
    for found, expected in zip(maps, stage_maps(whole, stages, images_BCHW), strict=True):
        torch.testing.assert_close(found, expected)


def test_a_backbone_without_maps_is_refused_by_its_name() -> None:
    class Blind(nn.Module):
        feature_info = ({"module": "only"},)

    with pytest.raises(ConfigError, match="maps of its stages, blind does not"):
        prune_to_stages(Blind(), "blind", SIZE)
