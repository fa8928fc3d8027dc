"""One backbone with its initial weights and a dataset: features of any view, and what heads are trained with.

Axes: N photograph, F feature.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sepl.config import ModelConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.metrics import skill_per_task
from sepl.training.probe.closed_form import closed_form_values
from sepl.training.probe.data import ProbeData
from sepl.training.probe.features import Encoder
from sepl.training.probe.store import FeatureKey, FeatureStore

Floats = NDArray[np.float32]
Split = Literal["train", "validation", "calibration"]


@dataclass(frozen=True, eq=False)
class FrozenBackbone:
    """Features are computed when they are first asked for, and then of the store."""

    model: ModelConfig
    """Of which backbone, weights and final norm count."""
    dataset: PreparedDataset
    store: FeatureStore
    num_views: int
    """Changed views of the photographs to learn from, beside these as they are."""
    strength: float
    """Of the change."""

    @cached_property
    def encoder(self) -> Encoder:
        return Encoder.build(self.model, self.dataset.image_spec.size)

    def key(self, cohort_split: Split, strength: float = 0.0, draw: int = 0) -> FeatureKey:
        encoder = self.encoder
        return FeatureKey(
            fingerprint=self.dataset.fingerprint,
            weights_sha256=encoder.weights_sha256,
            backbone=self.model.backbone,
            final_norm=self.model.final_norm,
            mean=encoder.normalisation.mean,
            std=encoder.normalisation.std,
            image_size=self.dataset.image_spec.size,
            cohort_split=cohort_split,
            strength=strength,
            draw=draw,
        )

    def features(self, cohort_split: Split, strength: float = 0.0, draw: int = 0) -> Floats:
        """(N, F), mapped. Raises StorageError when there is no room for them."""
        shards = self.dataset.photographs(cohort_split).shards
        key = self.key(cohort_split, strength, draw)
        return self.store.get(key, partial(self.encoder.encode, shards, strength=strength, draw=draw))

    def data(self) -> ProbeData:
        """To learn from the train patients and to choose by the validation patients."""
        return ProbeData.of(self.dataset, self._views(("train",)), self.features("validation"))

    def data_without_choice(self) -> ProbeData:
        """To learn from the train and validation patients together, when nothing is left to choose."""
        both: tuple[Split, Split] = ("train", "validation")
        return ProbeData.of(
            self.dataset, self._views(both), np.empty((0, self.encoder.num_features), np.float32),
            train_splits=both, validation_split=None,
        )  # fmt: skip

    def closed_form_skills(self) -> dict[str, float]:
        """Skill per task of regressions on the features, on the validation patients; a task that they cannot judge is
        left out."""
        dataset = self.dataset
        train, judged = dataset.photographs("train"), dataset.photographs("validation")
        values_PT = closed_form_values(
            dataset.tasks,
            train.per_patient(self.features("train").astype(np.float64)),
            train.labels_per_patient(dataset.tasks),
            judged.per_patient(self.features("validation").astype(np.float64)),
        )
        labels_PT = judged.labels_per_patient(dataset.tasks)
        skills_T = skill_per_task(values_PT, labels_PT, dataset.scaler.medians, dataset.tasks)
        named = zip(dataset.tasks.names, skills_T.tolist(), strict=True)
        return {name: skill for name, skill in named if np.isfinite(skill)}

    def _views(self, cohort_splits: Sequence[Split]) -> list[Floats]:
        """As they are, then each changed view."""
        views = [(0.0, 0), *((self.strength, draw) for draw in range(self.num_views))]
        return [np.concatenate([self.features(split, *view) for split in cohort_splits]) for view in views]
