"""One backbone for all tasks, and a head on its features: the shape of most families.

Axes: B photograph, C channel, H height, W width, F feature, T task.
"""

from torch import Tensor, nn

from sepl.models.network import MultiTaskNetwork


class TrunkNetwork(MultiTaskNetwork):
    """A backbone, (B, 3, H, W) → (B, F), shared by all tasks, and a head, (B, F) → (B, T)."""

    def __init__(self, backbone: nn.Module, head: nn.Module, num_tasks: int) -> None:
        super().__init__(num_tasks)
        self.backbone = backbone
        self.head = head

    def represent(self, images_BCHW: Tensor) -> Tensor:
        return self.backbone(images_BCHW)

    def decide(self, features: Tensor) -> Tensor:
        return self.head(features)
