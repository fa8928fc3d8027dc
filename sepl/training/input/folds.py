"""Fresh folds of the patients who may train: judges whom a search has not looked at again and again.

N photographs · P patients
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sepl.data.dataset.dataset import Photographs, PreparedDataset
from sepl.device import pick_device
from sepl.errors import DatasetError
from sepl.training.input.batches import KnownJudge, TrainingData, TrainSet, ValidationSet
from sepl.training.input.pixels import PixelSource, open_pixels

FOLDED = ("train", "validation")
"""Cohort splits whose patients are dealt out; of the others nobody is looked at."""


@dataclass(frozen=True)
class Fold:
    """One of `num_folds` folds, by number from 0; with the same seed they share no patient."""

    number: int
    num_folds: int
    seed: int

    def judges(self, num_patients: int) -> NDArray[np.bool_]:
        """(P,) who validates in this fold; the others train."""
        order_P = np.random.default_rng(self.seed).permutation(num_patients)
        fold_P = np.empty(num_patients, np.int64)
        fold_P[order_P] = np.arange(num_patients) % self.num_folds
        return fold_P == self.number


def load_fold(
    dataset: PreparedDataset,
    fold: Fold,
    device: str = "auto",
    judge: Callable[[Photographs], KnownJudge] | None = None,
) -> TrainingData:
    """What a run needs that trains and validates on the dataset's train and validation patients, dealt out anew.

    Labels are scaled as in the dataset. `judge` makes the judge of known values from the photographs to validate on.
    Raises DatasetError when a fold has no patient to validate on, or fewer than two photographs to train on.
    """
    place = pick_device(device)
    everybody = dataset.photographs(*FOLDED)
    is_judge_N = fold.judges(everybody.num_patients)[everybody.patient_index]
    train_N, judge_N = np.flatnonzero(~is_judge_N), np.flatnonzero(is_judge_N)
    if len(train_N) < 2 or not len(judge_N):
        raise DatasetError(
            f"{dataset.uri}: a fold should have two photographs or more to train on and one to validate on, had "
            f"{len(train_N)} and {len(judge_N)}"
        )
    pixels = _SomePixels(open_pixels(everybody.shards, place), torch.from_numpy(train_N))
    judges = _some(everybody, judge_N)
    return TrainingData(
        tasks=dataset.tasks,
        scaler=dataset.scaler,
        image_spec=dataset.image_spec,
        fingerprint=dataset.fingerprint,
        device=place,
        train=TrainSet.of(_some(everybody, train_N), pixels, dataset.scaler, place),
        validation=ValidationSet(
            judges, judges.labels_per_patient(dataset.tasks), None if judge is None else judge(judges)
        ),
    )


def _some(photographs: Photographs, rows_N: NDArray[np.int64]) -> Photographs:
    shard = cast("NDArray[np.uint8]", GatheredRows(photographs.shards, rows_N))
    names = ("images", "patients", "labels_NT", "days", "eyes", "sites", "cameras")
    return replace(photographs, shards=(shard,), **{name: getattr(photographs, name)[rows_N] for name in names})


class GatheredRows:
    """Some rows of shards as a shard of their own, of which only the slice that is asked for is in memory."""

    def __init__(self, shards: Sequence[NDArray[np.uint8]], rows_N: NDArray[np.int64]) -> None:
        self._shards, self._rows_N = shards, rows_N
        self._starts = np.cumsum([0, *(len(shard) for shard in shards)])

    def __len__(self) -> int:
        return len(self._rows_N)

    def __getitem__(self, part: slice) -> NDArray[np.uint8]:
        """Photographs (n, H, W, 3)."""
        rows = self._rows_N[part]
        pixels_NHWC = np.empty((len(rows), *self._shards[0].shape[1:]), np.uint8)
        shard_N = np.searchsorted(self._starts, rows, side="right") - 1
        for index in np.unique(shard_N):
            places = np.flatnonzero(shard_N == index)
            pixels_NHWC[places] = self._shards[index][rows[places] - self._starts[index]]
        return pixels_NHWC


class _SomePixels:
    """Some photographs of a source, numbered from 0."""

    def __init__(self, source: PixelSource, rows_N: Tensor) -> None:
        self._source, self._rows_N = source, rows_N

    @property
    def num_photographs(self) -> int:
        return len(self._rows_N)

    def batches(self, order_SB: Tensor) -> Iterator[Tensor]:
        return self._source.batches(self._rows_N[order_SB])
