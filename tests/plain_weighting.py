"""A small network of several tasks and a step through a weighting, for the laws of weightings."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sepl.models.parts.network import NO_CONTEXT, Context, MultiTaskNetwork, Representation
from sepl.training.weighting.base import Weighting

NUM_FEATURES = 6


class Twostage(MultiTaskNetwork):
    """Two stages, as MTAN sees them, of which the later depends on the earlier; linear heads, smooth losses."""

    def __init__(self, num_tasks: int, *, seed: int = 0, penalised: bool = False) -> None:
        super().__init__(num_tasks)
        generator = torch.Generator().manual_seed(seed)
        self.first = nn.Parameter(torch.randn(3, NUM_FEATURES, generator=generator))
        self.second = nn.Parameter(torch.randn(NUM_FEATURES, NUM_FEATURES, generator=generator))
        # A head a task, drawn one after the other, so that a network of fewer tasks is the same without the last.
        self.heads = nn.ParameterList([torch.randn(2 * NUM_FEATURES, generator=generator) for _ in range(num_tasks)])
        self._penalised = penalised

    def represent(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        early_BF = torch.tanh(images_BCHW.mean(dim=(2, 3)) @ self.first)
        return early_BF, torch.tanh(early_BF @ self.second)

    def predict(self, representation: Representation, context: Context = NO_CONTEXT) -> Tensor:
        features_BF = torch.cat(list(representation), dim=1)
        if context.penalties is not None:
            context.penalties.append((features_BF**2).sum())
        return features_BF @ torch.stack(list(self.heads), dim=1)

    def penalty(self, context: Context = NO_CONTEXT) -> Tensor:
        return sum(context.penalties or [], start=(self.first**2).sum()) if self._penalised else torch.zeros(())


def batch(num_tasks: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Images (8, 3, 2, 2) and targets (8, T)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(8, 3, 2, 2, generator=generator), torch.randn(8, 20, generator=generator)[:, :num_tasks]


def step(
    weighting: Weighting,
    network: Twostage,
    present: Sequence[bool],
    *,
    seed: int = 0,
    scale_T: Tensor | float = 1.0,
    precision: torch.dtype = torch.float32,
) -> dict[str, Tensor]:
    """The gradients of one batch, 0 where there is none, by the parameter's name; the weighting's own among them."""
    images_BCHW, targets_BT = batch(network.num_tasks, seed)
    present_T = torch.tensor(present)
    network.zero_grad()
    weighting.zero_grad()

    def losses(outputs_BT: Tensor) -> Tensor:
        return ((outputs_BT.float() - targets_BT) ** 2).mean(dim=0) * present_T * scale_T

    context = Context(penalties=[])
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == torch.bfloat16):
        representation = network.represent(images_BCHW)
        branch = weighting.branch(representation)
        assert branch is not None
        outputs_BT = network.predict(branch, context)
    weighting.backward(losses(outputs_BT), present_T, representation, network.penalty(context))
    if weighting.looks_again:
        weighting.after_step(0.5 * losses(outputs_BT.detach()), present_T)
    named = [*network.named_parameters(), *weighting.named_parameters()]
    return {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
        for name, parameter in named
    }
