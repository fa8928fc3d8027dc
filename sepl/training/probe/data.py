"""Features and labels as heads are trained and judged on them.

Axes: V view, N photograph, F feature, T task, P patient, D direction, S step, B photograph of a batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sepl.data.dataset.dataset import Photographs, PreparedDataset
from sepl.data.dataset.scaling import LabelScaler
from sepl.tasks import TaskTable
from sepl.training.input.batches import ValidationSet, shuffle_into_steps


@dataclass(frozen=True, eq=False)
class ProbeBatch:
    """Features and labels of one step."""

    features_BF: Tensor
    targets_BT: Tensor
    """Scaled labels; 0 where absent."""
    present_BT: Tensor
    """1 where there is a label, else 0."""


@dataclass(frozen=True, eq=False)
class ProbeData:
    """All that heads need beside their settings."""

    tasks: TaskTable
    scaler: LabelScaler
    views: tuple[Tensor, ...]
    """Of the photographs to learn from: features (N, F) as they are, then of each augmented view."""
    targets_NT: Tensor
    present_NT: Tensor
    judged_NF: Tensor
    """Features of the photographs to choose by."""
    validation: ValidationSet | None
    """None: the last epoch is kept."""

    @classmethod
    def of(
        cls,
        dataset: PreparedDataset,
        views: Sequence[NDArray[np.float32]],
        judged_NF: NDArray[np.float32],
        *,
        train_splits: Sequence[str] = ("train",),
        validation_split: str | None = "validation",
    ) -> "ProbeData":
        """From features of the cohort splits to train on, one after the other, in each view, and of the one to choose
        by."""
        labels = [_labels(dataset.photographs(name), dataset.scaler) for name in train_splits]
        targets_NT, present_NT = (torch.cat(parts) for parts in zip(*labels, strict=True))
        validation = None
        if validation_split is not None:
            photographs = dataset.photographs(validation_split)
            validation = ValidationSet(photographs, photographs.labels_per_patient(dataset.tasks))
        return cls(
            tasks=dataset.tasks,
            scaler=dataset.scaler,
            views=tuple(_tensor(view_NF) for view_NF in views),
            targets_NT=targets_NT,
            present_NT=present_NT,
            judged_NF=_tensor(judged_NF),
            validation=validation,
        )

    @property
    def num_features(self) -> int:
        return self.views[0].shape[1]

    def along(self, basis_FD: Tensor) -> "ProbeData":
        """The same with features as coordinates along these directions."""
        return replace(
            self,
            views=tuple(view_NF @ basis_FD for view_NF in self.views),
            judged_NF=self.judged_NF @ basis_FD,
        )

    def steps_per_epoch(self, batch_size: int) -> int:
        """As of `TrainSet`."""
        num_photographs = len(self.targets_NT)
        return min(-(-num_photographs // batch_size), num_photographs // 2)

    def epoch(self, batch_size: int, generator: torch.Generator) -> Iterator[ProbeBatch]:
        """The photographs in random order, each in one of its views, in batches of one size as `TrainSet` has them."""
        num_photographs, num_steps = len(self.targets_NT), self.steps_per_epoch(batch_size)
        order_SB = shuffle_into_steps(num_photographs, num_steps, batch_size, generator)
        view_SB = torch.randint(len(self.views), order_SB.shape, generator=generator)
        for rows_B, view_B in zip(order_SB, view_SB, strict=True):
            yield ProbeBatch(self._gather(rows_B, view_B), self.targets_NT[rows_B], self.present_NT[rows_B])

    def _gather(self, rows_B: Tensor, view_B: Tensor) -> Tensor:
        features_BF = self.views[0].index_select(0, rows_B)
        for place, view_NF in enumerate(self.views[1:], start=1):
            chosen = view_B == place
            features_BF[chosen] = view_NF.index_select(0, rows_B[chosen])
        return features_BF


def leading_directions(features_NF: Tensor, most: int) -> Tensor | None:
    """(F, D) orthonormal directions that hold most of the features' squares; None where there are no more than `most`.

    From the eigenvectors of features' second moments (no mean is taken off), so that a head on coordinates along them
    is a head on the features: its weights times the directions.
    """
    if features_NF.shape[1] <= most:
        return None
    moments_FF = features_NF.double().T @ features_NF.double()
    return torch.linalg.eigh(moments_FF).eigenvectors.flip(1)[:, :most].float().contiguous()


def _labels(photographs: Photographs, scaler: LabelScaler) -> tuple[Tensor, Tensor]:
    scaled_NT = scaler.scale(photographs.labels_NT)
    present_NT = np.isfinite(scaled_NT)
    targets_NT = np.where(present_NT, scaled_NT, 0.0)
    return _tensor(targets_NT.astype(np.float32)), _tensor(present_NT.astype(np.float32))


def _tensor(values: NDArray[np.float32]) -> Tensor:
    """A copy: a map is read-only, and steps gather from all over it."""
    return torch.from_numpy(np.array(values))
