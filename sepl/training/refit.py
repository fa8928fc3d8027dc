"""Training a setting again once nothing is left to choose: on the train and validation patients together."""

from collections.abc import Callable

from torch import Tensor

from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun, train


def refit(config: TrialConfig, dataset: PreparedDataset, tell: Callable[[str], None] = print) -> dict[str, Tensor]:
    """Weights at the end of the config's schedule on train and validation patients (docs/decisions/0005-refit.md).

    `tell` gets a line an epoch. Raises DivergedError.
    """
    data = TrainingData.load(dataset, train_splits=("train", "validation"), validation_split=None)
    run = TrainingRun(config, data)
    for epoch in train(run):
        tell(f"refit: epoch {epoch.epoch} of {epoch.num_epochs}, loss {epoch.train_loss:.3f}, {epoch.seconds:.1f} s")
    return run.best_state()
