"""A study: Ray Tune runs trials, Optuna proposes, ASHA stops, a winner is published."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["StudyPlan", "StudySettings", "Winner", "plan_study", "run_study", "select_winner"]

if TYPE_CHECKING:
    from sepl.tuning.plan import StudyPlan, plan_study
    from sepl.tuning.selection import Winner, select_winner
    from sepl.tuning.settings import StudySettings
    from sepl.tuning.study import run_study
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "plan": ["StudyPlan", "plan_study"],
            "selection": ["Winner", "select_winner"],
            "settings": ["StudySettings"],
            "study": ["run_study"],
        },
    )
