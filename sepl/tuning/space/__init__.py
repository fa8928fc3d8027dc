"""The question of a study: a search space, its first points and task splits."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["DistinctSplits", "SearchSpace", "ask_space", "canonical_splits", "load_space"]

if TYPE_CHECKING:
    from sepl.tuning.space.probe import ask_space
    from sepl.tuning.space.space import SearchSpace, load_space
    from sepl.tuning.space.task_splits import DistinctSplits, canonical_splits
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "probe": ["ask_space"],
            "space": ["SearchSpace", "load_space"],
            "task_splits": ["DistinctSplits", "canonical_splits"],
        },
    )
