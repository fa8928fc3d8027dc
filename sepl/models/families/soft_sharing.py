"""Soft parameter sharing: a network a task, held near the others.

Duong, Cohn, Bird, Cook: Low Resource Dependency Parsing, ACL 2015, doi 10.3115/v1/P15-2139.

    y_t  = w_t · f(x; θ_t) + b_t
    loss = sum_t L_t + λ · sum_{s<t} |θ_s − θ_t|²

over the parameters θ of the backbones; heads are free. All backbones start from the same values: networks that start
apart may do the same with their neurons in another order, and their distance would say nothing. The sum over pairs is
T · sum_t |θ_t − mean θ|², which costs T terms and not T².

Axes: T task.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sepl.models.families.single_task import SingleTaskNetwork
from sepl.models.parts.fusion import Fusion
from sepl.models.parts.network import NO_CONTEXT, Context


class SoftSharingNetwork(SingleTaskNetwork):
    """T copies of a backbone, with a penalty of `strength` (λ) on their distances."""

    def __init__(
        self,
        backbone: nn.Module,
        num_features: int,
        num_tasks: int,
        strength: float,
        fusion: Fusion | None = None,
        num_outputs: Sequence[int] | None = None,
    ) -> None:
        copies = [backbone, *(copy.deepcopy(backbone) for _ in range(num_tasks - 1))]
        super().__init__(copies, num_features, fusion, num_outputs)
        self.strength = strength

    @property
    def has_penalty(self) -> bool:
        return self.strength > 0

    def penalty(self, context: Context = NO_CONTEXT) -> Tensor:
        del context
        same_place = zip(*(backbone.parameters() for backbone in self.backbones), strict=True)
        squares = [_squared_distance_to_mean(torch.stack(parameters)) for parameters in same_place]
        return self.strength * self.num_tasks * torch.stack(squares).sum()


def _squared_distance_to_mean(parameters_T: Tensor) -> Tensor:
    return (parameters_T - parameters_T.mean(dim=0)).square().sum()
