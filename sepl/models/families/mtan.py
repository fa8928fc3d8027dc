"""Multi-task attention network: each task masks the maps of every stage of a shared trunk.

Liu, Johns, Davison: End-to-End Multi-Task Learning with Attention, CVPR 2019, arXiv 1803.10704.

With the trunk's maps p_1 … p_S at the ends of its stages, for each task t:

    m_ts = sigmoid(B_ts relu(norm(A_ts [p_s; d_ts])))       1 × 1 convolutions A, B
    a_ts = m_ts * p_s                                       what the task sees of the stage
    d_ts = relu(norm(D_s pool(a_t,s−1)))                    handed on from the stage before; nothing at the first
    y_t  = w_t · norm(mean over the map of a_tS) + b_t

The 3 × 3 convolution D_s is the tasks' in common, as in the paper. What is ours: the masks read the end of a stage,
not also its beginning, so that any timm backbone serves (ViTs too, whose maps keep their size); norms are over one
task's channels of one photograph, not over the batch, through which a photograph or an unlabelled task would move the
others; pooling comes before the convolution, a quarter of the work.

All tasks' masks are one grouped convolution.

Axes: B photograph, C channel, h, w map, T task, F feature (C of the last stage).
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from sepl.models.backbone.stages import stage_maps
from sepl.models.parts.fusion import Fusion
from sepl.models.parts.linear import TaskHeads
from sepl.models.parts.network import NO_CONTEXT, Context, MultiTaskNetwork, Representation

REDUCTION = 4
"""A mask is computed in so many times fewer channels than its stage has."""


class MtanNetwork(MultiTaskNetwork):
    """A trunk whose stages' maps all tasks share, and a chain of masks a task."""

    def __init__(
        self,
        backbone: nn.Module,
        stages: Sequence[int],
        shapes: Sequence[torch.Size],
        num_tasks: int,
        fusion: Fusion | None = None,
        num_outputs: Sequence[int] | None = None,
    ) -> None:
        """`shapes` are (C, h, w) of the maps of `stages`; `num_outputs` is how many each task has, by default one."""
        super().__init__(num_tasks, fusion)
        self.backbone = backbone
        self.stages = list(stages)
        widths = [shape[0] for shape in shapes]
        self.masks = nn.ModuleList(
            StageMask(num_tasks, width, width if stage > 0 else 0) for stage, width in enumerate(widths)
        )
        self.hand_on = nn.ModuleList(HandOn(*pair) for pair in pairwise(widths))
        self.norm = nn.LayerNorm(widths[-1])
        self.heads = TaskHeads(num_tasks, widths[-1], num_outputs)

    def represent(self, images_BCHW: Tensor) -> tuple[Tensor, ...]:
        return stage_maps(self.backbone, self.stages, images_BCHW)

    def features(self, representation: Representation) -> Tensor:
        """(B, T, F)."""
        maps = tuple(representation)
        seen_BTChw = self.masks[0](maps[0], None)
        for map_BChw, mask, hand_on in zip(maps[1:], self.masks[1:], self.hand_on, strict=True):
            seen_BTChw = mask(map_BChw, hand_on(seen_BTChw, map_BChw.shape[2:]))
        return self.norm(seen_BTChw.mean(dim=(3, 4)))

    def decide(self, features: Tensor, context: Context = NO_CONTEXT) -> Tensor:
        del context
        return self.heads(features)


class StageMask(nn.Module):
    """A stage's map (B, C, h, w) and what was handed on (B, T, C', h, w) to what the tasks see (B, T, C, h, w)."""

    def __init__(self, num_tasks: int, width: int, num_handed_on: int) -> None:
        super().__init__()
        self.num_tasks = num_tasks
        reduced = num_tasks * max(1, width // REDUCTION)
        self.look = nn.Conv2d(width, reduced, 1)  # of [p; d], the part for p: the same input for all tasks
        self.recall = nn.Conv2d(num_tasks * num_handed_on, reduced, 1, groups=num_tasks) if num_handed_on else None
        self.norm = nn.GroupNorm(num_tasks, reduced)
        self.mask = nn.Conv2d(reduced, num_tasks * width, 1, groups=num_tasks)

    def forward(self, map_BChw: Tensor, handed_on_BTChw: Tensor | None) -> Tensor:
        hidden_BChw = self.look(map_BChw)
        if self.recall is not None and handed_on_BTChw is not None:
            hidden_BChw = hidden_BChw + self.recall(handed_on_BTChw.flatten(1, 2))
        mask_BTChw = self.mask(self.norm(hidden_BChw).relu_()).sigmoid().unflatten(1, (self.num_tasks, -1))
        return mask_BTChw * map_BChw.unsqueeze(1)


class HandOn(nn.Module):
    """What a task saw of a stage, for the mask of the next: (B, T, C, h, w) to (B, T, C', h', w')."""

    def __init__(self, width: int, next_width: int) -> None:
        super().__init__()
        self.convolve = nn.Conv2d(width, next_width, 3, padding=1)
        self.norm = nn.GroupNorm(1, next_width)

    def forward(self, seen_BTChw: Tensor, size: torch.Size) -> Tensor:
        num_tasks = seen_BTChw.shape[1]
        pooled = functional.adaptive_max_pool2d(seen_BTChw.flatten(0, 1), list(size))
        return self.norm(self.convolve(pooled)).relu_().unflatten(0, (-1, num_tasks))
