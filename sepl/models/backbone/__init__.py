"""timm models as image encoders, without tasks: how they are built, their initial weights, layers and stages."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = [
    "build_backbone",
    "freeze_stages",
    "layer_scales",
    "prune_to_stages",
    "read_tensors",
    "stage_maps",
    "stage_names",
]

if TYPE_CHECKING:
    from sepl.models.backbone.build import build_backbone
    from sepl.models.backbone.depth import freeze_stages, layer_scales
    from sepl.models.backbone.stages import prune_to_stages, stage_maps, stage_names
    from sepl.models.backbone.weights import read_tensors
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "build": ["build_backbone"],
            "depth": ["freeze_stages", "layer_scales"],
            "stages": ["prune_to_stages", "stage_maps", "stage_names"],
            "weights": ["read_tensors"],
        },
    )
