"""What earlier experience says of a search space, such as a probe of frozen features or another study."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PriorTrial:
    """A configuration that was judged elsewhere."""

    params: dict[str, Any]
    """Hyperparameters by name; those that the study does not ask, or offers otherwise, say nothing."""
    rank: float
    """In (0, 1], 1 the best."""
