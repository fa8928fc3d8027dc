"""How many epochs a trial is worth: schedulers that know neither Ray nor Optuna."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = [
    "ASHA",
    "PASHA",
    "Decision",
    "PromotionASHA",
    "ReliableFirstRung",
    "RungReliability",
    "Scheduler",
    "TopK",
    "make_scheduler",
]

if TYPE_CHECKING:
    from sepl.tuning.search.schedulers.asha import ASHA
    from sepl.tuning.search.schedulers.base import Decision, Scheduler
    from sepl.tuning.search.schedulers.build import make_scheduler
    from sepl.tuning.search.schedulers.first_rung import ReliableFirstRung
    from sepl.tuning.search.schedulers.pasha import PASHA
    from sepl.tuning.search.schedulers.promotion import PromotionASHA
    from sepl.tuning.search.schedulers.rung_reliability import RungReliability
    from sepl.tuning.search.schedulers.top_k import TopK
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "asha": ["ASHA"],
            "base": ["Decision", "Scheduler"],
            "build": ["make_scheduler"],
            "first_rung": ["ReliableFirstRung"],
            "pasha": ["PASHA"],
            "promotion": ["PromotionASHA"],
            "rung_reliability": ["RungReliability"],
            "top_k": ["TopK"],
        },
    )
