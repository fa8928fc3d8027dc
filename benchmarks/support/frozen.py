"""The cheapest rival on a dataset's sealed test patients: regressions on features of a backbone that is never trained.

Axes: P patient, F feature, T task.
"""

import numpy as np
from numpy.typing import NDArray

from sepl.config import ModelConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.training.probe.closed_form import closed_form_values
from sepl.training.probe.features import Encoder

Floats = NDArray[np.float64]


def frozen_values(config: ModelConfig, dataset: PreparedDataset, *, seed: int = 0) -> Floats:
    """Values (P, T) for the sealed test patients; in units, probabilities for binary tasks.

    Features are those of the config's backbone and weights, in evaluation mode, the mean over a patient's photographs.
    Each task has a regression of its own, fitted on the train patients who have its label, its penalty chosen among
    them by five-fold cross-validation. Neither validation nor calibration patients are looked at.
    """
    encoder = Encoder.build(config, dataset.image_spec.size, seed=seed)
    train, test = dataset.photographs("train"), dataset.photographs("test")
    features_PF, test_PF = (
        photographs.per_patient(encoder.encode(photographs.shards).astype(np.float64)) for photographs in (train, test)
    )
    return closed_form_values(dataset.tasks, features_PF, train.labels_per_patient(dataset.tasks), test_PF)
