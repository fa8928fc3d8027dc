"""AdamW with decay where decay makes sense, and rates that fall by depth where they should."""

from collections.abc import Iterator

from torch import nn
from torch.optim import AdamW

from sepl.models.backbone.depth import layer_scales


def build_optimiser(
    network: nn.Module,
    *,
    learning_rate: float,
    weight_decay: float,
    layer_decay: float = 1.0,
    beside: nn.Module | None = None,
) -> AdamW:
    """AdamW over all parameters of a network that learn, one fused kernel a step and group (on the CPU as well).

    Biases, norms and what the backbone itself exempts (position embeddings, class tokens) do not decay: pulling them to
    zero limits no capacity and shifts what the network can represent. Parameters of `beside`, what is learned beside
    the network, never decay either.

    Each group keeps what its learning rate is multiplied by as `lr_scale`; see `set_learning_rate`.
    """
    exempt = set(exempt_names(network))
    scales = layer_scales(network, layer_decay) if layer_decay < 1 else {}
    members: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            key = (scales.get(name, 1.0), name not in exempt)
            members.setdefault(key, []).append(parameter)
    if beside is not None and (learned := list(beside.parameters())):
        members.setdefault((1.0, False), []).extend(learned)
    groups = [
        {"params": members[scale, decays], "lr_scale": scale, "weight_decay": weight_decay if decays else 0.0}
        for scale, decays in sorted(members, reverse=True)  # the same order in every run
    ]
    optimiser = AdamW(groups, lr=learning_rate, fused=True)
    set_learning_rate(optimiser, learning_rate)
    return optimiser


def set_learning_rate(optimiser: AdamW, learning_rate: float) -> None:
    """Of every group, times its scale."""
    for group in optimiser.param_groups:
        group["lr"] = learning_rate * group["lr_scale"]


def exempt_names(network: nn.Module) -> Iterator[str]:
    """The parameters that do not decay."""
    for name, parameter in network.named_parameters():
        if parameter.ndim <= 1 or name.endswith("bias"):  # a bank of experts has its biases in one (E, 1, H) tensor
            yield name
    for prefix, module in network.named_modules():
        declared = getattr(module, "no_weight_decay", None)  # timm's way to say it
        if callable(declared):
            yield from (f"{prefix}.{name}".lstrip(".") for name in declared())  # pyright: ignore[reportGeneralTypeIssues]
