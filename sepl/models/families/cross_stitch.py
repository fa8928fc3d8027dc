"""Cross-stitch networks: a network a task, and after each stage a learned mixture of all of them.

Misra, Shrivastava, Gupta, Hebert: Cross-stitch Networks for Multi-task Learning, CVPR 2016, arXiv 1604.03539.

    x_t ← stage_t(x_t),  then  x_t ← sum_s A_ts x_s          after each of at most four stages, A (T, T) of its own
    y_t = w_t · x_t + b_t

A starts with 0.9 on its diagonal and the rest of a row's 1 shared by the other tasks. All networks start from the same
values, so that what is mixed are the same neurons.

The T networks are one timm network whose layers are T layers each: tasks lie one after the other in the batch, and
every layer with parameters takes its task's part. What belongs to the whole network and to no layer (a ViT's class
token and position embeddings) stays one for all tasks.

Axes: B photograph, T task, F feature; TB tasks' photographs, one task after the other.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sepl.models.backbone.stages import stage_names
from sepl.models.parts.fusion import Fusion
from sepl.models.parts.linear import TaskHeads
from sepl.models.parts.network import NO_CONTEXT, Context, MultiTaskNetwork

OWN_SHARE = 0.9
"""Of a task's own network in what its next stage gets, at the start."""


class CrossStitchNetwork(MultiTaskNetwork):
    """T copies of a backbone, (B, 3, H, W) → (B, F), stitched together, and a linear head on each."""

    has_shared_trunk = False

    def __init__(
        self,
        backbone: nn.Module,
        num_features: int,
        num_tasks: int,
        fusion: Fusion | None = None,
        num_outputs: Sequence[int] | None = None,
    ) -> None:
        super().__init__(num_tasks, fusion)
        names = stage_names(backbone)
        _multiply_layers(backbone, num_tasks)
        self.backbone = backbone
        self.stitches = nn.ModuleList(Stitch(num_tasks) for _ in names)
        for name, stitch in zip(names, self.stitches, strict=True):
            # beside the backbone, not around its stages, so that these keep the names by which timm tells their depth
            backbone.get_submodule(name).register_forward_hook(stitch)
        self.heads = TaskHeads(num_tasks, num_features, num_outputs)

    def represent(self, images_BCHW: Tensor) -> Tensor:
        """(B, T, F)."""
        features_TBF = self.backbone(images_BCHW.repeat(self.num_tasks, 1, 1, 1))
        return features_TBF.unflatten(0, (self.num_tasks, -1)).transpose(0, 1)

    def decide(self, features: Tensor, context: Context = NO_CONTEXT) -> Tensor:
        del context
        return self.heads(features)


class Stitch(nn.Module):
    """The mixture of what a stage gives, as its forward hook."""

    def __init__(self, num_tasks: int) -> None:
        super().__init__()
        shared = (1 - OWN_SHARE) / max(1, num_tasks - 1)
        own = OWN_SHARE if num_tasks > 1 else 1.0
        self.mixture = nn.Parameter(torch.full((num_tasks, num_tasks), shared).fill_diagonal_(own))

    def forward(self, stage: nn.Module, inputs: object, outputs: Tensor) -> Tensor:
        del stage, inputs
        by_task = outputs.unflatten(0, (len(self.mixture), -1))
        mixture_TT = self.mixture.to(outputs.dtype)  # under autocast maps may be bfloat16, and no product casts them
        return torch.tensordot(mixture_TT, by_task, dims=1).flatten(0, 1)


class TaskWise(nn.Module):
    """T copies of a layer, each for its task's part of the batch."""

    def __init__(self, layer: nn.Module, num_tasks: int) -> None:
        super().__init__()
        self.copies = nn.ModuleList([layer, *(copy.deepcopy(layer) for _ in range(num_tasks - 1))])

    def forward(self, inputs: Tensor, *others: object, **named: object) -> Tensor:
        parts = inputs.chunk(len(self.copies))
        return torch.cat([layer(part, *others, **named) for layer, part in zip(self.copies, parts, strict=True)])


def _multiply_layers(module: nn.Module, num_tasks: int) -> None:
    """Replaces every outermost layer below `module` that has parameters of its own."""
    for name, child in module.named_children():
        if next(child.parameters(recurse=False), None) is not None:
            setattr(module, name, TaskWise(child, num_tasks))
        else:
            _multiply_layers(child, num_tasks)
