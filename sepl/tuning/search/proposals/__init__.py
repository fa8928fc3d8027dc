"""Who proposes: Optuna's samplers and ours, each of which takes what is known from elsewhere as a prior."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["PriorTrial", "make_sampler"]

if TYPE_CHECKING:
    from sepl.tuning.search.proposals.make import make_sampler
    from sepl.tuning.search.proposals.prior import PriorTrial
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "make": ["make_sampler"],
            "prior": ["PriorTrial"],
        },
    )
