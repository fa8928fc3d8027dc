"""The stages of a backbone: where its maps are taken (MTAN) and where networks are stitched together.

timm numbers them in `feature_info`; `features_only` and `forward_intermediates` of all its models follow it.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn

from sepl.errors import ConfigError

MAX_STAGES = 4


def pick_stages(backbone: nn.Module) -> list[int]:
    """At most four stages, the last among them: those of a pyramid without its stem, else evenly spaced blocks."""
    num_stages = len(cast(Any, backbone).feature_info)
    if num_stages <= MAX_STAGES + 1:
        return list(range(max(0, num_stages - MAX_STAGES), num_stages))
    return [(stage + 1) * num_stages // MAX_STAGES - 1 for stage in range(MAX_STAGES)]


def stage_names(backbone: nn.Module) -> list[str]:
    """Names of the modules that these stages end with."""
    feature_info = cast(Any, backbone).feature_info
    return [feature_info[stage]["module"] for stage in pick_stages(backbone)]


def stage_maps(backbone: nn.Module, stages: list[int], images_BCHW: Tensor) -> tuple[Tensor, ...]:
    """The maps (B, C, h, w) that the stages end with."""
    maps = cast(Any, backbone).forward_intermediates(
        images_BCHW, indices=stages, output_fmt="NCHW", intermediates_only=True
    )
    return tuple(maps)


def prune_to_stages(backbone: nn.Module, name: str, image_size: int) -> tuple[list[int], list[torch.Size]]:
    """Leaves out what follows the last stage; returns the stages, and the shapes (C, h, w) of their maps.

    Raises ConfigError for a backbone whose maps timm does not give out.
    """
    try:
        stages = cast(Any, backbone).prune_intermediate_layers(pick_stages(backbone), prune_norm=True, prune_head=True)
        was_training = backbone.training
        with torch.inference_mode():
            maps = stage_maps(backbone.eval(), stages, torch.zeros(1, 3, image_size, image_size))
        backbone.train(was_training)
    except (AttributeError, TypeError, RuntimeError, AssertionError, NotImplementedError) as problem:
        raise ConfigError(f"backbone should give out the maps of its stages, {name} does not: {problem}") from problem
    return stages, [found.shape[1:] for found in maps]
