"""Networks in plain torch: `build` makes the one that settings name, `predict` asks it; families, parts, backbones."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["MultiTaskNetwork", "build_network", "predict_outputs"]

if TYPE_CHECKING:
    from sepl.models.build import build_network
    from sepl.models.parts.network import MultiTaskNetwork
    from sepl.models.predict import predict_outputs
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "build": ["build_network"],
            "parts.network": ["MultiTaskNetwork"],
            "predict": ["predict_outputs"],
        },
    )
