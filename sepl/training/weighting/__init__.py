"""How the losses or gradients of several tasks become one step; `build.build_weighting` makes the one that is named."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["GradientWeighting", "Weighting", "build_weighting"]

if TYPE_CHECKING:
    from sepl.training.weighting.base import Weighting
    from sepl.training.weighting.build import build_weighting
    from sepl.training.weighting.gradients import GradientWeighting
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "base": ["Weighting"],
            "build": ["build_weighting"],
            "gradients": ["GradientWeighting"],
        },
    )
