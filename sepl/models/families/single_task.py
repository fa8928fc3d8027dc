"""A network a task, nothing shared: what every multi-task method is held against.

    y_t = w_t · f_t(x) + b_t

All are trained in one trial, on the same batches. They share no parameter and the loss is a sum, so that each moves as
it would alone; only the epoch that is kept is chosen for all of them together.

Axes: B photograph, F feature, T task.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sepl.models.parts.fusion import Fusion
from sepl.models.parts.linear import TaskHeads
from sepl.models.parts.network import NO_CONTEXT, Context, MultiTaskNetwork


class SingleTaskNetwork(MultiTaskNetwork):
    """T backbones, (B, 3, H, W) → (B, F) each, and a linear head on each."""

    has_shared_trunk = False

    def __init__(
        self,
        backbones: Sequence[nn.Module],
        num_features: int,
        fusion: Fusion | None = None,
        num_outputs: Sequence[int] | None = None,
    ) -> None:
        super().__init__(len(backbones), fusion)
        self.backbones = nn.ModuleList(backbones)
        self.heads = TaskHeads(len(backbones), num_features, num_outputs)

    def represent(self, images_BCHW: Tensor) -> Tensor:
        """(B, T, F)."""
        return torch.stack([backbone(images_BCHW) for backbone in self.backbones], dim=1)

    def decide(self, features: Tensor, context: Context = NO_CONTEXT) -> Tensor:
        del context
        return self.heads(features)
