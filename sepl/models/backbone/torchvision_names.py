"""torchvision's ConvNeXt and timm's are one network with other names for its tensors."""

import re
from collections.abc import Mapping

from torch import Tensor

_LAYERS = {  # of a block, by torchvision's number in its Sequential
    "block.0": "conv_dw",
    "block.2": "norm",
    "block.3": "mlp.fc1",
    "block.5": "mlp.fc2",
    "layer_scale": "gamma",
}
_NAME = re.compile(r"features\.(?P<part>\d+)\.(?P<index>\d+)\.?(?P<layer>block\.\d+|layer_scale)?(?P<rest>.*)")


def is_torchvision_convnext(state: Mapping[str, Tensor]) -> bool:
    return "features.1.0.layer_scale" in state


def convnext_from_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under timm's names; the classifier's norm is the head's, its last layer the head's fc."""
    return {_timm_name(name): _timm_shape(name, tensor) for name, tensor in state.items()}


def _timm_name(name: str) -> str:
    """Even parts are the stem (0) and what makes maps smaller before the next stage, odd ones stages."""
    found = _NAME.fullmatch(name)
    if found is None:
        return name.replace("classifier.0.", "head.norm.").replace("classifier.2.", "head.fc.")
    part, index, layer, rest = int(found["part"]), found["index"], found["layer"], found["rest"].removeprefix(".")
    ending = f".{rest}" if rest else ""
    if layer is not None:
        return f"stages.{part // 2}.blocks.{index}.{_LAYERS.get(layer, layer)}{ending}"
    return f"stem.{index}{ending}" if part == 0 else f"stages.{part // 2}.downsample.{index}{ending}"


def _timm_shape(name: str, tensor: Tensor) -> Tensor:
    return tensor.flatten() if name.endswith("layer_scale") else tensor
