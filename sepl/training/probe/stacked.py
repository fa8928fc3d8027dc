"""Heads of one shape as one: their parameters stacked, one pass forward and back, one optimiser step for all.

Each head is the module that a trial builds, asked by `torch.func`; no head sees another.

    C head · B photograph · F feature · O output · T task
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.optim import AdamW

from sepl.models.parts.gates import LoadBalance
from sepl.training.engine.optimiser import exempt_names
from sepl.training.supervised.losses import TaskLosses


class HeadStack:
    """C copies of a head, which part as they are trained."""

    def __init__(self, head: nn.Module, num_heads: int) -> None:
        self._head = head
        self.parameters = {
            name: parameter.detach().expand(num_heads, *parameter.shape).clone().requires_grad_()
            for name, parameter in head.named_parameters()
        }
        """By the head's names, (C, …) each."""
        self.exempt = set(exempt_names(head))
        """Names of those that do not decay."""
        self._has_penalty = any(isinstance(part, LoadBalance) and part.weight > 0 for part in head.modules())

    def outputs(self, features_BF: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (C, B, O) of the same photographs, and each head's penalty (C,)."""
        return vmap(self._ask, in_dims=(0, None))(self.parameters, features_BF)

    def state(self) -> dict[str, Tensor]:
        """A copy of the parameters as they are."""
        return {name: parameter.detach().clone() for name, parameter in self.parameters.items()}

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
    """AdamW (Loshchilov & Hutter, ICLR 2019, arXiv 1711.05101) with a rate and a decay a head.

    torch's own kernel moves zeros at rate 1, in one pass over all heads; what it moved them by, times each head's rate,
    is that head's step.
    """

    def __init__(self, stack: HeadStack, rates: Sequence[float], decay: Sequence[float]) -> None:
        self._parameters = {name: parameter.detach() for name, parameter in stack.parameters.items()}
        self._exempt = stack.exempt
        self._rates_C = torch.tensor(rates, dtype=torch.float64)
        self._decay_C = torch.tensor(decay, dtype=torch.float64)
        self._moves = {name: torch.zeros_like(parameter) for name, parameter in self._parameters.items()}
        self._kernel = AdamW(list(self._moves.values()), lr=1.0, weight_decay=0.0, fused=True)

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], share: float) -> None:
        """Moves all heads by the gradients of their parameters, in order; `share` of each one's rate is what the
        schedule has come to."""
        for move, gradient in zip(self._moves.values(), gradients, strict=True):
            move.grad = gradient.contiguous()  # the kernel reads memory as it lies
        self._kernel.step()
        rates_C = share * self._rates_C
        kept_C = (1 - rates_C * self._decay_C).float()
        for name, parameter in self._parameters.items():
            ones = (1,) * (parameter.ndim - 1)
            if name not in self._exempt:
                parameter.mul_(kept_C.view(-1, *ones))
            parameter.addcmul_(self._moves[name], rates_C.float().view(-1, *ones))
            self._moves[name].zero_()
