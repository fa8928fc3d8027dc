"""The weights that a trial kept of its best epoch."""

import tempfile
from pathlib import Path

from torch import Tensor

from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import StudyError
from sepl.models.backbone.normalisation import backbone_normalisation
from sepl.storage import Location, local_copy
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun


def own_weights(config: TrialConfig, dataset: PreparedDataset, storage: Location, checkpoint: str) -> dict[str, Tensor]:
    """The best weights that the trial saved at its end. Raises StudyError or what a damaged save raises."""
    source = Location(storage.filesystem, checkpoint, checkpoint)
    run = TrainingRun(config, TrainingData.load(dataset))
    with tempfile.TemporaryDirectory() as cache:
        run.restore(local_copy(source, Path(cache)))
    if run.network.normalisation != backbone_normalisation(config.model.backbone, config.model.weights):
        raise StudyError(
            "the trial's own weights should be of pixels normalised as its backbone's, were of an earlier version's, "
            "as for ImageNet: train its config anew with jobs.train"
        )
    return run.best_state()
