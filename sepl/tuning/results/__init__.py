"""The finished trials: ranked (`leaderboard.leaderboard`), tabled, weighed (`importance.importance`)."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["Importance", "Leaderboard", "TrialRow", "affinity_table", "leaderboard_table"]

if TYPE_CHECKING:
    from sepl.tuning.results.importance import Importance
    from sepl.tuning.results.leaderboard import Leaderboard, TrialRow
    from sepl.tuning.results.tables import affinity_table, leaderboard_table
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "importance": ["Importance"],
            "leaderboard": ["Leaderboard", "TrialRow"],
            "tables": ["affinity_table", "leaderboard_table"],
        },
    )
