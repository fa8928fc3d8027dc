"""What contenders at an equal budget have in common: small networks, a choice on validation patients, the same seeds.

Axes: S seed, B the sample itself, then its resamples, T task.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.support.skills import Floats, skills_of
from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun, train

BATCH_SIZE = 32
SHORT: dict[str, Any] = {
    "backbone": "test_resnet",
    "weight_decay": 1e-2,
    "augment_strength": 0.5,
    "batch_size": BATCH_SIZE,
}
"""Params of the smallest backbone of search_spaces/smoke.py that suit a few epochs."""
# The paper's head on it, with a learning rate that suits few epochs.
SEPL_SETTING = TrialConfig.from_params(
    {
        **SHORT,
        "task_split": "anthropometric",
        "num_experts": 4,
        "hidden_width": 128,
        "learning_rate": 3e-3,
        "num_epochs": 15,
    }
)


def best_of(settings: Sequence[TrialConfig], data: TrainingData) -> TrialConfig:
    """The setting of the best validation skill; of one, nothing is trained."""
    if len(settings) == 1:
        return settings[0]
    reached = [max(result.best_skill for result in train(TrainingRun(setting, data))) for setting in settings]
    return settings[int(np.argmax(reached))]


def skills_of_seeds(config: TrialConfig, data: TrainingData, dataset: PreparedDataset, num_seeds: int) -> Floats:
    """(S, B, T) of seeds 0 … S−1."""
    return np.stack([skills_of(config.with_params(seed=seed), data, dataset) for seed in range(num_seeds)])
