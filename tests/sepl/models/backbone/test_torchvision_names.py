"""torchvision's ConvNeXt under timm's names is the same network."""

import pytest
import timm
import torch
from torch import Tensor
from torchvision.models.convnext import CNBlockConfig, ConvNeXt

from sepl.models.backbone.torchvision_names import convnext_from_torchvision, is_torchvision_convnext

WIDTHS, DEPTHS = (8, 16, 24, 32), (1, 2, 1, 1)


@pytest.fixture
def theirs() -> ConvNeXt:
    nexts = (*WIDTHS[1:], None)
    settings = [CNBlockConfig(*block) for block in zip(WIDTHS, nexts, DEPTHS, strict=True)]
    network = ConvNeXt(settings, num_classes=5, layer_scale=0.5).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network


def test_the_outputs_are_the_same(theirs: ConvNeXt) -> None:
    ours = timm.create_model("convnext_tiny", pretrained=False, dims=WIDTHS, depths=DEPTHS, num_classes=5).eval()

    ours.load_state_dict(convnext_from_torchvision(theirs.state_dict()), strict=True)

    images_BCHW = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(ours(images_BCHW), theirs(images_BCHW), rtol=1e-3, atol=1e-4)


def test_no_two_tensors_get_one_name_and_none_loses_a_number(theirs: ConvNeXt) -> None:
    state = theirs.state_dict()

    converted = convnext_from_torchvision(state)

    assert len(converted) == len(state)
    for before, after in zip(state.values(), converted.values(), strict=True):
        assert torch.equal(before.flatten(), after.flatten())


def test_only_their_networks_are_taken_for_theirs(theirs: ConvNeXt) -> None:
    state: dict[str, Tensor] = theirs.state_dict()

    assert is_torchvision_convnext(state)
    assert not is_torchvision_convnext(convnext_from_torchvision(state))
    assert not is_torchvision_convnext({})
