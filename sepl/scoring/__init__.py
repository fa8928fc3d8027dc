"""Photographs to values with intervals, by a bundle: the scorer, what it reads, the table it fills, how good it is."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = [
    "STATUSES",
    "Photograph",
    "Prediction",
    "Reading",
    "Score",
    "Scorer",
    "Status",
    "calibrate",
    "compose_content",
    "evaluate_bundle",
    "find_photographs",
    "score_schema",
    "score_table",
    "write_scores",
]

if TYPE_CHECKING:
    from sepl.scoring.compose import compose_content
    from sepl.scoring.evaluation import evaluate_bundle
    from sepl.scoring.intervals import calibrate
    from sepl.scoring.readings import Photograph, Reading
    from sepl.scoring.rows import STATUSES, Prediction, Score, Status
    from sepl.scoring.scorer import Scorer
    from sepl.scoring.sources import find_photographs
    from sepl.scoring.table import score_schema, score_table, write_scores
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "compose": ["compose_content"],
            "evaluation": ["evaluate_bundle"],
            "intervals": ["calibrate"],
            "readings": ["Photograph", "Reading"],
            "rows": ["STATUSES", "Prediction", "Score", "Status"],
            "scorer": ["Scorer"],
            "sources": ["find_photographs"],
            "table": ["score_schema", "score_table", "write_scores"],
        },
    )
