"""Learning tasks from their labels: the objective of every trial, on the engine that all training shares.

`sepl.training.supervised.run` has what others use: `TrainingRun` and `train`.
"""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["EpochResult", "Supervised", "TaskLosses", "TrainingRun", "task_losses", "total_loss", "train"]

if TYPE_CHECKING:
    from sepl.training.supervised.losses import TaskLosses, task_losses, total_loss
    from sepl.training.supervised.objective import EpochResult, Supervised
    from sepl.training.supervised.run import TrainingRun, train
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "losses": ["TaskLosses", "task_losses", "total_loss"],
            "objective": ["EpochResult", "Supervised"],
            "run": ["TrainingRun", "train"],
        },
    )
