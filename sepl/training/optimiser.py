"""AdamW with decay where decay makes sense."""

from collections.abc import Iterator

from torch import nn
from torch.optim import AdamW


def build_optimiser(network: nn.Module, *, learning_rate: float, weight_decay: float) -> AdamW:
    """AdamW over all parameters of a network, one fused kernel a step (on the CPU as well).

    Biases, norms and what the backbone itself exempts (position embeddings, class tokens) do not decay: pulling them
    to zero limits no capacity and shifts what the network can represent.
    """
    exempt = set(_exempt_names(network))
    decayed = [parameter for name, parameter in network.named_parameters() if name not in exempt]
    free = [parameter for name, parameter in network.named_parameters() if name in exempt]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
    return AdamW([group for group in groups if group["params"]], lr=learning_rate, fused=True)


def _exempt_names(network: nn.Module) -> Iterator[str]:
    for name, parameter in network.named_parameters():
        if parameter.ndim <= 1 or name.endswith("bias"):  # a bank of experts has its biases in one (E, 1, H) tensor
            yield name
    for prefix, module in network.named_modules():
        declared = getattr(module, "no_weight_decay", None)  # timm's way to say it
        if callable(declared):
            yield from (f"{prefix}.{name}".lstrip(".") for name in declared())  # pyright: ignore[reportGeneralTypeIssues]
