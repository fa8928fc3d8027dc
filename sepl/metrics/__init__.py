"""Per-task measures in clinical units, skill, the demographic floor, and patient-bootstrap intervals."""

from sepl.metrics.bootstrap import Estimate
from sepl.metrics.evaluation import Evaluation, TaskEvaluation, evaluate
from sepl.metrics.floor import fit_floor
from sepl.metrics.measures import skill_per_task

__all__ = ["Estimate", "Evaluation", "TaskEvaluation", "evaluate", "fit_floor", "skill_per_task"]
