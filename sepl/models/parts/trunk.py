"""One backbone for all tasks, and a head on its features: the shape of most families.

Axes: B photograph, C channel, H height, W width, F feature, O output.
"""

import torch
from torch import Tensor, nn

from sepl.models.parts.fusion import Fusion
from sepl.models.parts.gates import LoadBalance
from sepl.models.parts.group_adapters import GroupedHead
from sepl.models.parts.network import NO_CONTEXT, Context, MultiTaskNetwork


class TrunkNetwork(MultiTaskNetwork):
    """A backbone, (B, 3, H, W) → (B, F), shared by all tasks, and a head, (B, F) → (B, O)."""

    def __init__(self, backbone: nn.Module, head: nn.Module, num_tasks: int, fusion: Fusion | None = None) -> None:
        super().__init__(num_tasks, fusion)
        self.backbone = backbone
        self.head = head
        self._balances = [module for module in head.modules() if isinstance(module, LoadBalance)]

    def represent(self, images_BCHW: Tensor) -> Tensor:
        return self.backbone(images_BCHW)

    def decide(self, features: Tensor, context: Context = NO_CONTEXT) -> Tensor:
        told: dict[str, object] = {}
        if self.needs_labels or self.takes_known:
            told["labels_BK"] = context.labels_BT
        if self.has_penalty:
            told["penalties"] = context.penalties
        if isinstance(self.head, GroupedHead):
            return self.head(features, context.turn, **told)
        return self.head(features, **told)

    @property
    def has_penalty(self) -> bool:
        return any(balance.weight > 0 for balance in self._balances)

    def penalty(self, context: Context = NO_CONTEXT) -> Tensor:
        """Of a head that is asked several times in a forward, once a task group, the mean."""
        if not self.has_penalty:
            return super().penalty(context)
        assert context.penalties, "the context that the forward had, with a list for its penalties"
        return super().penalty(context) + torch.stack(context.penalties).mean()
