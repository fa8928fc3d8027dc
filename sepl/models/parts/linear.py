"""Many small linear maps as one product.

Axes: B photograph, E any of many (experts, tasks), T task, O output, F feature.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sepl.models.parts.outputs import PerOutput


class BatchedLinear(nn.Module):
    """E linear layers side by side: (E, B, in) to (E, B, out)."""

    def __init__(self, num_experts: int, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(num_inputs)  # nn.Linear's, which knows nothing of its neighbours
        self.weight = nn.Parameter(torch.empty(num_experts, num_inputs, num_outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(num_experts, 1, num_outputs).uniform_(-bound, bound))

    def forward(self, inputs_EBI: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, inputs_EBI, self.weight)


class TaskHeads(nn.Module):
    """A linear head a task, each on features of its task's own: (B, T, F) to (B, O)."""

    def __init__(self, num_tasks: int, num_features: int, num_outputs: Sequence[int] | None = None) -> None:
        """`num_outputs` says of each task how many it has; one each by default."""
        super().__init__()
        self.outputs = PerOutput(num_tasks, num_outputs)
        bound = 1 / math.sqrt(num_features)
        self.weight = nn.Parameter(torch.empty(self.outputs.total, num_features).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(self.outputs.total).uniform_(-bound, bound))

    def forward(self, features_BTF: Tensor) -> Tensor:
        return (self.outputs(features_BTF, dim=1) * self.weight).sum(dim=2) + self.bias
