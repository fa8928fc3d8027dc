"""Training on patients: a batch's row is a patient, of whom several photographs are drawn.

N photographs · P patients · M most photographs of one · S photographs of a row · B rows of a batch · T tasks
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sepl.data.patients.index import labels_per_patient
from sepl.tasks import TaskTable
from sepl.training.input.batches import Batch, TrainSet, labels_to_hand, shuffle_into_steps
from sepl.training.input.pixels import PixelSource


@dataclass(frozen=True, eq=False)
class PatientTrainSet:
    """As `TrainSet`, with rows of `size` photographs of one patient each, drawn anew every epoch.

    Who has fewer is drawn from again, each time changed otherwise by augmentation. Labels are the mean over a patient's
    photographs that have them, or a level of a graded task, as patients are evaluated.
    """

    pixels: PixelSource
    rows_PM: Tensor
    """On the CPU; each patient's photographs, −1 where there are no more."""
    targets_PT: Tensor
    present_PT: Tensor
    size: int

    @classmethod
    def of(cls, train: TrainSet, size: int, tasks: TaskTable) -> "PatientTrainSet":
        num_patients = int(train.patient_N.max()) + 1
        rows_PM = _photographs_of(train.patient_N, num_patients)
        index_N = train.patient_N.to(train.targets_NT.device)
        sums_PT, counts_PT = (
            values_NT.new_zeros(num_patients, values_NT.shape[1]).index_add_(0, index_N, values_NT)
            for values_NT in (train.targets_NT * train.present_NT, train.present_NT)
        )
        present_PT = (counts_PT > 0).to(counts_PT.dtype)
        targets_PT = sums_PT / counts_PT.clamp(min=1)
        _put_levels(targets_PT, train, tasks)
        return cls(train.pixels, rows_PM, targets_PT, present_PT, size)

    def steps_per_epoch(self, batch_size: int) -> int:
        """`batch_size` counts photographs, so that it costs the same memory; every batch has two patients or more."""
        num_patients = len(self.rows_PM)
        return max(1, min(-(-num_patients // self._rows_of(batch_size)), num_patients // 2))

    def epoch(
        self, batch_size: int, generator: torch.Generator, num_skipped: int = 0, handed_on: str = "none"
    ) -> Iterator[Batch]:
        """The patients in random order, in batches of one size, a random choice of photographs of each."""
        order_SB = shuffle_into_steps(
            len(self.rows_PM), self.steps_per_epoch(batch_size), self._rows_of(batch_size), generator
        )
        drawn_PS = self._draw(generator)
        order_SB = order_SB[num_skipped:]
        photographs_SR = drawn_PS[order_SB].flatten(1)
        on_device_SB = order_SB.to(self.targets_PT.device)
        for pixels_RHWC, rows_B in zip(self.pixels.batches(photographs_SR), on_device_SB, strict=True):
            targets_BT = self.targets_PT.index_select(0, rows_B)
            present_BT = self.present_PT.index_select(0, rows_B)
            labels_BT = labels_to_hand(handed_on, targets_BT, present_BT)
            yield Batch(pixels_RHWC, targets_BT, present_BT, self.size, labels_BT)

    def _draw(self, generator: torch.Generator) -> Tensor:
        """(P, S) photographs of each patient, none twice before all are drawn once."""
        is_real_PM = self.rows_PM >= 0
        keys_PM = torch.rand(self.rows_PM.shape, generator=generator).masked_fill(~is_real_PM, 2.0)
        shuffled_PM = self.rows_PM.gather(1, keys_PM.argsort(dim=1))
        place_PS = torch.arange(self.size) % is_real_PM.sum(dim=1, keepdim=True)
        return shuffled_PM.gather(1, place_PS)

    def _rows_of(self, batch_size: int) -> int:
        return max(2, batch_size // self.size)


def _put_levels(targets_PT: Tensor, train: TrainSet, tasks: TaskTable) -> None:
    """Of graded tasks, in place of means."""
    if not any(tasks.is_graded):
        return
    labels_NT = torch.where(train.present_NT > 0, train.targets_NT, torch.nan).cpu().numpy()
    levels_PT = torch.from_numpy(np.nan_to_num(labels_per_patient(labels_NT, train.patient_N.numpy(), tasks)))
    for place, task in enumerate(tasks):
        if task.is_graded:
            targets_PT[:, place] = levels_PT[:, place]


def _photographs_of(patient_N: Tensor, num_patients: int) -> Tensor:
    """(P, M), −1 behind the last of each."""
    counts_P = torch.bincount(patient_N, minlength=num_patients)
    order_N = patient_N.argsort(stable=True)
    starts_P = counts_P.cumsum(0) - counts_P
    place_N = torch.arange(len(patient_N)) - starts_P.repeat_interleave(counts_P)
    rows_PM = torch.full((num_patients, int(counts_P.max())), -1, dtype=torch.long)
    rows_PM[patient_N[order_N], place_N] = order_N
    return rows_PM
