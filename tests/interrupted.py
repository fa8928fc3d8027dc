"""A training run that dies within an epoch, and what goes on from its save."""

from pathlib import Path

import pytest

from sepl.config import TrialConfig
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun


def resumed_run(config: TrialConfig, data: TrainingData, folder: Path, *, num_steps: int = 2) -> TrainingRun:
    """A run restored from what another saved below `folder` after so many steps, within its first epoch."""
    killed, resumed = TrainingRun(config, data), TrainingRun(config, data)

    def kill() -> None:
        if killed.steps_done == num_steps:
            killed.save(folder)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed.run_epoch(after_step=kill)
    resumed.restore(folder)
    return resumed
