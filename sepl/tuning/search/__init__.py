"""Who proposes, who stops, what it may cost."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["Budget", "CrashCounter", "RememberingASHA", "TruthfulOptunaSearch", "parse_duration"]

if TYPE_CHECKING:
    from sepl.tuning.search.budget import Budget, CrashCounter, parse_duration
    from sepl.tuning.search.scheduler import RememberingASHA
    from sepl.tuning.search.searcher import TruthfulOptunaSearch
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "budget": ["Budget", "CrashCounter", "parse_duration"],
            "scheduler": ["RememberingASHA"],
            "searcher": ["TruthfulOptunaSearch"],
        },
    )
