"""What proposes hyperparameters, and what it is told beforehand."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["PriorTrial"]

if TYPE_CHECKING:
    from sepl.tuning.search.proposals.prior import PriorTrial
else:
    __getattr__, __dir__ = lazy_face(__name__, {"prior": ["PriorTrial"]})
