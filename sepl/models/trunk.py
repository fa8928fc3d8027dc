"""One backbone for all tasks, and a head on its features: the shape of most families.

Axes: B photograph, C channel, H height, W width, F feature, T task.
"""

from torch import Tensor, nn

from sepl.models.fusion import Fusion
from sepl.models.gates import LoadBalance
from sepl.models.network import MultiTaskNetwork


class TrunkNetwork(MultiTaskNetwork):
    """A backbone, (B, 3, H, W) → (B, F), shared by all tasks, and a head, (B, F) → (B, T)."""

    def __init__(self, backbone: nn.Module, head: nn.Module, num_tasks: int, fusion: Fusion | None = None) -> None:
        super().__init__(num_tasks, fusion)
        self.backbone = backbone
        self.head = head
        self._balances = [module for module in head.modules() if isinstance(module, LoadBalance)]

    def represent(self, images_BCHW: Tensor) -> Tensor:
        return self.backbone(images_BCHW)

    def decide(self, features: Tensor, labels_BT: Tensor | None = None) -> Tensor:
        del labels_BT  # a prediction
        self.forget_gates()
        return self.head(features)

    def forget_gates(self) -> None:
        """What was observed of a forward whose penalty nobody asked for is no part of the next one's."""
        for balance in self._balances:
            balance.take()

    @property
    def has_penalty(self) -> bool:
        return any(balance.weight > 0 for balance in self._balances)

    def penalty(self) -> Tensor:
        taken = [balance.take() for balance in self._balances]
        return sum((loss for loss in taken if loss is not None), start=super().penalty())
