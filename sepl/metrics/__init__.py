"""Per-task measures in clinical units, skill, the demographic floor, and patient-bootstrap intervals."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["Estimate", "Evaluation", "TaskEvaluation", "evaluate", "fit_floor", "skill_per_task"]

if TYPE_CHECKING:
    from sepl.metrics.bootstrap import Estimate
    from sepl.metrics.evaluation import Evaluation, TaskEvaluation, evaluate
    from sepl.metrics.floor import fit_floor
    from sepl.metrics.measures import skill_per_task
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "bootstrap": ["Estimate"],
            "evaluation": ["Evaluation", "TaskEvaluation", "evaluate"],
            "floor": ["fit_floor"],
            "measures": ["skill_per_task"],
        },
    )
