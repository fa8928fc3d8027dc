"""What is known of hyperparameters before a study's own trials."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PriorTrial:
    """A setting that something cheaper, or another study, has ranked."""

    params: dict[str, Any]
    rank: float
    """(0, 1], 1 the best."""
