"""SePL's head as its equations are read: one layer for each expert, gate and head, one step for each of them.

Axes: B photograph, F feature, P prior, R = 2 P, E expert, H hidden, T target.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from sepl.models.families.sepl import SeplHead


class PlainLoop(nn.Module):
    """Features (B, F) to priors, then targets (B, P + T); priors are propagated as they are.

    `once` evaluates every expert once, and each target takes its gate's share of each (the released code is built so);
    else every target evaluates the experts for itself.
    """

    def __init__(
        self, num_features: int, num_priors: int, num_targets: int, num_experts: int, hidden_width: int
    ) -> None:
        super().__init__()
        self.once = True
        self.prior_heads = nn.ModuleList(nn.Linear(num_features, 1) for _ in range(num_priors))
        self.gates = nn.ModuleList(nn.Linear(num_features + num_priors, num_experts) for _ in range(num_targets))
        self.experts = nn.ModuleList(PlainExpert(num_features, num_priors, hidden_width) for _ in range(num_experts))
        self.target_heads = nn.ModuleList(nn.Linear(hidden_width, 1) for _ in range(num_targets))

    def forward(self, features_BF: Tensor) -> Tensor:
        priors_BP = torch.cat([head(features_BF) for head in self.prior_heads], dim=1)
        gates_BE = [gate(torch.cat([features_BF, priors_BP], dim=1)).softmax(dim=1) for gate in self.gates]
        said_BH = self._evaluate(features_BF, priors_BP) if self.once else None
        targets_B1 = []
        for gate_BE, head in zip(gates_BE, self.target_heads, strict=True):
            outs_BH = said_BH or self._evaluate(features_BF, priors_BP)
            mixed_BH = sum(gate_BE[:, e].unsqueeze(1) * out_BH for e, out_BH in enumerate(outs_BH))
            targets_B1.append(head(mixed_BH))
        return torch.cat([priors_BP, *targets_B1], dim=1)

    def _evaluate(self, features_BF: Tensor, priors_BP: Tensor) -> list[Tensor]:
        return [expert(features_BF, priors_BP) for expert in self.experts]

    @classmethod
    @torch.no_grad()
    def like(cls, head: SeplHead, *, once: bool = True) -> "PlainLoop":
        """The same function as `head`, whose priors are propagated and stand first, with its parameters."""
        experts = head.experts
        assert head.prior_heads is not None
        assert experts.attention is not None
        assert head.gates is not None
        num_experts, num_features, hidden_width = experts.image.weight.shape
        num_priors, num_targets = head.prior_heads.out_features, head.target_heads.out_features
        loop = cls(num_features, num_priors, num_targets, num_experts, hidden_width)
        loop.once = once
        _deal(head.prior_heads, list(loop.prior_heads))
        _deal(head.gates, list(loop.gates))
        _deal(head.target_heads, list(loop.target_heads))
        _deal(experts.attention, [expert.get_submodule("attention") for expert in loop.experts])
        for e, expert in enumerate(loop.experts):
            for name in ("image", "prior", "out"):
                source = experts.get_submodule(name)
                expert.get_parameter(f"{name}.weight").copy_(source.get_parameter("weight")[e].T)
                expert.get_parameter(f"{name}.bias").copy_(source.get_parameter("bias")[e, 0])
        return loop


class PlainExpert(nn.Module):
    """One expert: features (B, F) and priors (B, P) to (B, H)."""

    def __init__(self, num_features: int, num_priors: int, hidden_width: int) -> None:
        super().__init__()
        self.image = nn.Linear(num_features, hidden_width)
        self.attention = nn.Linear(num_priors, num_priors)
        self.prior = nn.Linear(num_priors, 2 * num_priors)
        self.out = nn.Linear(hidden_width + 2 * num_priors, hidden_width)

    def forward(self, features_BF: Tensor, priors_BP: Tensor) -> Tensor:
        heard_BH = self.image(features_BF).relu()
        read_BR = self.prior(priors_BP * self.attention(priors_BP).softmax(dim=1)).relu()
        return self.out(torch.cat([heard_BH, read_BR], dim=1)).relu()


def _deal(wide: nn.Linear, narrow: Sequence[nn.Module]) -> None:
    """Copies the rows of one wide layer to equal narrow ones, in order."""
    num_rows = wide.out_features // len(narrow)
    for i, layer in enumerate(narrow):
        linear = cast(nn.Linear, layer)
        linear.weight.copy_(wide.weight[i * num_rows : (i + 1) * num_rows])
        linear.bias.copy_(wide.bias[i * num_rows : (i + 1) * num_rows])
