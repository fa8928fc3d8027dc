"""Heads of one shape as one: their parameters stacked, one pass forward and back, one optimiser step for all.

Each head is the module that a trial builds, asked by `torch.func`; no head sees another. A row of the stack is all of
a head's parameters, one after the other.

    C head · D parameters of a head · B photograph · F feature · O output · T task
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from sepl.models.parts.gates import LoadBalance
from sepl.training.engine.optimiser import exempt_names
from sepl.training.supervised.losses import TaskLosses

ADAM_BETAS = (0.9, 0.999)
ADAM_EPSILON = 1e-8
_BLOCK = 2**18
"""Parameters that an optimiser step moves at a time: what it reads and writes of them stays in a core's cache."""


class HeadStack:
    """C copies of a head, which part as they are trained."""

    def __init__(self, head: nn.Module, num_heads: int) -> None:
        self._head = head
        self._shapes = {name: parameter.shape for name, parameter in head.named_parameters()}
        self._sizes = [shape.numel() for shape in self._shapes.values()]
        flat_D = torch.cat([parameter.detach().reshape(-1) for parameter in head.parameters()])
        self.flat_CD = flat_D.repeat(num_heads, 1).requires_grad_()
        exempt = set(exempt_names(head))
        decays = [torch.full((size,), name not in exempt) for name, size in zip(self._shapes, self._sizes, strict=True)]
        self.decays_D = torch.cat(decays).float()
        self._has_penalty = any(isinstance(part, LoadBalance) and part.weight > 0 for part in head.modules())

    def outputs(self, features_BF: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (C, B, O) of the same photographs, and each head's penalty (C,)."""
        return vmap(self._ask, in_dims=(0, None))(self._parameters(self.flat_CD), features_BF)

    def state(self, row_D: Tensor) -> dict[str, Tensor]:
        """A row as the head's state."""
        parts = row_D.split(self._sizes)
        named = zip(self._shapes.items(), parts, strict=True)
        return {name: part.view(shape).clone() for (name, shape), part in named}

    def _parameters(self, flat_CD: Tensor) -> dict[str, Tensor]:
        parts = flat_CD.split(self._sizes, dim=1)
        return {name: part.unflatten(1, shape) for (name, shape), part in zip(self._shapes.items(), parts, strict=True)}

    def _ask(self, parameters: Mapping[str, Tensor], features_BF: Tensor) -> tuple[Tensor, Tensor]:
        if not self._has_penalty:
            outputs_BO = functional_call(self._head, dict(parameters), (features_BF,))
            return outputs_BO, outputs_BO.new_zeros(())
        penalties: list[Tensor] = []
        outputs_BO = functional_call(self._head, dict(parameters), (features_BF,), {"penalties": penalties})
        return outputs_BO, torch.stack(penalties).mean()


def stacked_losses(losses: TaskLosses, outputs_CBO: Tensor, targets_BT: Tensor, present_BT: Tensor) -> Tensor:
    """The losses (C, T) of each head on one batch."""
    return vmap(losses, in_dims=(0, None, None))(outputs_CBO, targets_BT, present_BT)


class StackedAdamW:
    """AdamW (Loshchilov & Hutter, ICLR 2019, arXiv 1711.05101) as torch has it, with a rate and a decay a row."""

    def __init__(self, flat_CD: Tensor, decays_D: Tensor, rates: Sequence[float], decay: Sequence[float]) -> None:
        self._flat_CD = flat_CD.detach()
        self._rates_C1 = torch.tensor(rates, dtype=torch.float64)[:, None]
        self._decay_C1 = torch.tensor(decay, dtype=torch.float64)[:, None]
        self._decays_D = decays_D
        self._mean_CD, self._square_CD = torch.zeros_like(self._flat_CD), torch.zeros_like(self._flat_CD)
        self._num_steps = 0

    @torch.no_grad()
    def step(self, gradient_CD: Tensor, share: float) -> None:
        """Moves all rows; `share` of each one's rate is what the schedule has come to."""
        self._num_steps += 1
        rows = max(1, _BLOCK // self._flat_CD.shape[1])
        for start in range(0, len(self._flat_CD), rows):
            self._move(slice(start, start + rows), gradient_CD, share)

    def _move(self, rows: slice, gradient_CD: Tensor, share: float) -> None:
        slow, fast = ADAM_BETAS
        flat, gradient = self._flat_CD[rows], gradient_CD[rows]
        mean, square = self._mean_CD[rows], self._square_CD[rows]
        rates_C1 = share * self._rates_C1[rows]
        pull_C1 = (rates_C1 * self._decay_C1[rows]).float()
        if bool((pull_C1 > 0).any()):
            flat.mul_(1 - pull_C1 * self._decays_D)
        mean.lerp_(gradient, 1 - slow)
        square.mul_(fast).addcmul_(gradient, gradient, value=1 - fast)
        roots = square.sqrt().div_((1 - fast**self._num_steps) ** 0.5).add_(ADAM_EPSILON)
        flat.sub_((mean / roots).mul_((rates_C1 / (1 - slow**self._num_steps)).float()))
