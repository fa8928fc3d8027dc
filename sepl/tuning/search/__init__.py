"""Who proposes, who stops, what it may cost."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["Budget", "CrashCounter", "TruthfulOptunaSearch", "parse_duration"]

if TYPE_CHECKING:
    from sepl.tuning.search.budget import Budget, parse_duration
    from sepl.tuning.search.crashes import CrashCounter
    from sepl.tuning.search.searcher import TruthfulOptunaSearch
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "budget": ["Budget", "parse_duration"],
            "crashes": ["CrashCounter"],
            "searcher": ["TruthfulOptunaSearch"],
        },
    )
