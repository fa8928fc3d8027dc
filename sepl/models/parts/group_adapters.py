"""Sub-models of task groups on one trunk: what cooperative training takes turns with (docs/cooperative.md).

    f_g = relu(W_g z + b_g)                        the sub-model of group g, D wide, on the image features z
    r_g = z + V_g [f_1; …; f_G]                    what the tasks of g are predicted from, the other groups' f among it
    y_t = head(r_g)_t                              for the tasks t of g, by the family's own head

V starts at 0, so that before the first step the network is the family's own.

Axes: B photograph, F feature, G group, D width of a sub-model, T task, O output.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sepl.config import CooperativePlace
from sepl.models.parts.outputs import PerOutput


@dataclass(frozen=True, eq=False)
class Turn:
    """One group trains; the others' sub-models stay, disturbed."""

    group: int
    place: CooperativePlace
    """Whether the sub-models' parameters are disturbed or the features that they give."""
    disturb: Callable[[Tensor], Tensor]
    """From a tensor with the groups first, (G, …), to what is added to it."""
    num_draws: int = 1
    """With parameters: so many draws, each for its share of the photographs."""
    is_of_batch: bool = False
    """Whether what is added was found for all the features of a batch, which the head should then see at once."""


class GroupedHead(nn.Module):
    """A family's head, (B, F) → (B, O), asked once a group, about features that the groups' sub-models adapted."""

    def __init__(
        self,
        head: nn.Module,
        num_features: int,
        group_of_task: Sequence[int],
        width: int,
        num_outputs: Sequence[int] | None = None,
    ) -> None:
        """`num_outputs` says of each task how many it has; one each by default."""
        super().__init__()
        num_groups = max(group_of_task) + 1
        self.head = head
        self.num_groups = num_groups
        # A tensor a group: of a larger one, AdamW would move a slice that has a gradient of 0 in others' turns.
        self.adapters = nn.ModuleList(nn.Linear(num_features, width) for _ in range(num_groups))
        self.mixers = nn.ParameterList(torch.zeros(num_groups * width, num_features) for _ in range(num_groups))
        self.in_group_GT: Tensor
        in_group_GT = torch.tensor([[group == g for group in group_of_task] for g in range(num_groups)])
        self.register_buffer("in_group_GT", in_group_GT, persistent=False)
        self._in_group_GO: Tensor
        in_group_GO = PerOutput(len(group_of_task), num_outputs)(in_group_GT, dim=1)
        self.register_buffer("_in_group_GO", in_group_GO, persistent=False)

    def forward(self, features_BF: Tensor, turn: Turn | None = None, **told: object) -> Tensor:
        """Outputs (B, O); in a turn those of its group, and 0 for the tasks of others. The family's own head is `told`
        the rest."""
        if turn is not None:
            return self._decide(turn.group, features_BF, self._in_turn(features_BF, turn), told)
        adapted = [adapter(features_BF).relu() for adapter in self.adapters]
        groups = range(self.num_groups)
        return torch.stack([self._decide(group, features_BF, adapted, told) for group in groups]).sum(dim=0)

    def _in_turn(self, features_BF: Tensor, turn: Turn) -> list[Tensor]:
        """The group's own features (B, D) with gradient, the others' without, disturbed."""
        adapted = list(self._others(features_BF.detach(), turn))
        adapted[turn.group] = self.adapters[turn.group](features_BF).relu()
        return adapted

    def _others(self, features_BF: Tensor, turn: Turn) -> Tensor:
        """Disturbed features (G, B, D) of all groups, without gradient for their sub-models."""
        weight_GDF = torch.stack([adapter.get_parameter("weight").detach() for adapter in self.adapters])
        bias_GD = torch.stack([adapter.get_parameter("bias").detach() for adapter in self.adapters])
        if turn.place == "features":
            adapted_GBD = _adapt(features_BF, weight_GDF, bias_GD)
            return adapted_GBD + turn.disturb(adapted_GBD)
        shares = features_BF.tensor_split(min(turn.num_draws, len(features_BF)))
        return torch.cat(
            [
                _adapt(share_BF, weight_GDF + turn.disturb(weight_GDF), bias_GD + turn.disturb(bias_GD))
                for share_BF in shares
            ],
            dim=1,
        )

    def _decide(self, group: int, features_BF: Tensor, adapted: Sequence[Tensor], told: Mapping[str, object]) -> Tensor:
        """Outputs (B, O), 0 for the tasks of other groups."""
        features_BF = features_BF + torch.cat(list(adapted), dim=1) @ self.mixers[group]
        return self.head(features_BF, **told) * self._in_group_GO[group]


def _adapt(features_BF: Tensor, weight_GDF: Tensor, bias_GD: Tensor) -> Tensor:
    """Features (G, B, D) of sub-models with these parameters."""
    return (features_BF @ weight_GDF.transpose(1, 2) + bias_GD[:, None]).relu()
