"""Which layer of a backbone a parameter belongs to, as timm groups them: for freezing and for rates that fall by depth.

timm's coarse groups are a convolutional network's stem and stages, or a transformer's embedding and blocks; its fine
groups part stages into blocks.
"""

from collections.abc import Iterator
from typing import Any

from timm.models import group_parameters
from torch import nn

from sepl.errors import ConfigError


def layer_scales(network: nn.Module, layer_decay: float) -> dict[str, float]:
    """What the learning rate of each backbone parameter is multiplied by, by its name in the network.

    `layer_decay` to the power of its distance from the backbone's last layer, as timm and BEiT (arXiv 2106.08254) do;
    other parameters are left out, and learn at the full rate. Raises ConfigError without a backbone of timm's.
    """
    scales: dict[str, float] = {}
    for prefix, backbone in _backbones_of(network):
        layers = _layers(backbone, coarse=False)
        last = max(layers.values())
        scales |= {f"{prefix}.{name}".lstrip("."): layer_decay ** (last - layer) for name, layer in layers.items()}
    return scales


def count_stages(backbone: nn.Module) -> int:
    """How many stages `freeze_stages` can stop: all of the backbone. Raises ConfigError without one of timm's."""
    return max(max(_layers(module, coarse=True).values()) + 1 for _, module in _backbones_of(backbone))


def freeze_stages(network: nn.Module, num_stages: int) -> list[nn.Module]:
    """Stops the gradients of each backbone's first stages; hands back the modules that should stay in evaluation mode.

    These are the modules without any parameter that still learns: their batch norms would otherwise go on following
    the photographs. Raises ConfigError when a backbone has fewer stages.
    """
    frozen: list[nn.Module] = []
    for _, backbone in _backbones_of(network):
        layers = _layers(backbone, coarse=True)
        most = max(layers.values()) + 1
        if num_stages > most:
            raise ConfigError(f"frozen_stages should be at most {most} for this backbone, was {num_stages}")
        for name, parameter in backbone.named_parameters():
            if layers[name] < num_stages:
                parameter.requires_grad_(False)
        frozen += [module for module in backbone.modules() if _is_frozen(module)]
    return frozen


def _is_frozen(module: nn.Module) -> bool:
    parameters = list(module.parameters())
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)


def _backbones_of(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every timm model in a network, with its name there."""
    found = [(name, module) for name, module in network.named_modules() if hasattr(module, "group_matcher")]
    if not found:
        raise ConfigError(
            "frozen_stages and layer_decay need a backbone whose layers timm names, this network has none"
        )
    yield from found


def _layers(backbone: Any, *, coarse: bool) -> dict[str, int]:
    """The layer, from 0, of each parameter; one that timm groups with none belongs to the last."""
    return dict(group_parameters(backbone, backbone.group_matcher(coarse=coarse), reverse=True))
