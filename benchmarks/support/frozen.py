"""The cheapest rival on a dataset's sealed test patients: regressions on features of a backbone that is never trained.

Axes: P patient, F feature, T task.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sepl.config import ModelConfig
from sepl.data.dataset.dataset import Photographs, PreparedDataset
from sepl.training.probe.closed_form import closed_form_values
from sepl.training.probe.features import Encoder

Floats = NDArray[np.float64]


def frozen_values(config: ModelConfig, dataset: PreparedDataset, *, seed: int = 0, known: Sequence[str] = ()) -> Floats:
    """Values (P, T) for the sealed test patients; in units, probabilities for binary tasks.

    Features are those of the config's backbone and weights, in evaluation mode, the mean over a patient's photographs.
    Each task has a regression of its own, fitted on the train patients who have its label, its penalty chosen among
    them by five-fold cross-validation. Neither validation nor calibration patients are looked at. The labels of `known`
    tasks stand beside the features, an absent one as the train patients' median; what is said of these tasks themselves
    then means nothing.
    """
    encoder = Encoder.build(config, dataset.image_spec.size, seed=seed)
    train, test = dataset.photographs("train"), dataset.photographs("test")
    features_PF, test_PF = (
        photographs.per_patient(encoder.encode(photographs.shards).astype(np.float64)) for photographs in (train, test)
    )
    labels_PT = train.labels_per_patient(dataset.tasks)
    places = [dataset.tasks.index(name) for name in known]
    told_PK, test_told_PK = (_filled(found, dataset, labels_PT)[:, places] for found in (train, test))
    features_PF, test_PF = np.hstack([features_PF, told_PK]), np.hstack([test_PF, test_told_PK])
    return closed_form_values(dataset.tasks, features_PF, labels_PT, test_PF)


def _filled(photographs: Photographs, dataset: PreparedDataset, train_labels_PT: Floats) -> Floats:
    """Labels (P, T), medians where there is none."""
    labels_PT = photographs.labels_per_patient(dataset.tasks)
    return np.where(np.isfinite(labels_PT), labels_PT, np.nanmedian(train_labels_PT, axis=0))
