"""A prepared dataset as training wants it: loaded once a process, shared by all trials that run there.

N photographs · T tasks · P patients · S steps of an epoch · B photographs of a batch
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sepl.data.dataset.dataset import Photographs, PreparedDataset
from sepl.data.dataset.scaling import LabelScaler
from sepl.data.imaging.photograph import ImageSpec
from sepl.device import pick_device
from sepl.errors import DatasetError
from sepl.models.parts.fusion import PhotographSets
from sepl.models.parts.network import NO_CONTEXT, Context
from sepl.tasks import TaskTable
from sepl.training.input.pixels import PixelSource, open_pixels


@dataclass(frozen=True, eq=False)
class Batch:
    """Photographs and labels of one step, on the device."""

    pixels_BHWC: Tensor
    targets_BT: Tensor
    """Scaled labels; 0 where absent."""
    present_BT: Tensor
    """1 where there is a label, else 0; float32."""
    photographs_per_row: int = 1
    """More where a row is a patient: then the photographs of the first come first, and so on."""
    labels_BT: Tensor | None = None
    """Scaled labels, NaN where absent, as an input of the network; see `labels_to_hand` and `with_known`."""

    def context(self, rows: slice = slice(None)) -> Context:
        """What a network is told of these rows beside their photographs."""
        if self.photographs_per_row == 1 and self.labels_BT is None:
            return NO_CONTEXT
        num_rows = len(self.targets_BT[rows])
        return Context(
            PhotographSets.of_equal_size(num_rows, self.photographs_per_row, self.targets_BT.device),
            None if self.labels_BT is None else self.labels_BT[rows],
        )

    def photographs(self, rows: slice) -> slice:
        """Where the photographs of these rows are."""
        return slice(rows.start * self.photographs_per_row, rows.stop * self.photographs_per_row)


@dataclass(frozen=True, eq=False)
class TrainSet:
    """The photographs to learn from."""

    pixels: PixelSource
    targets_NT: Tensor
    present_NT: Tensor
    patient_N: Tensor
    """On the CPU; 0 … P−1, whose each is."""

    @classmethod
    def of(cls, photographs: Photographs, pixels: PixelSource, scaler: LabelScaler, device: torch.device) -> "TrainSet":
        """Of these photographs, whose pixels these are."""
        scaled_NT = scaler.scale(photographs.labels_NT)
        present_NT = np.isfinite(scaled_NT)
        return cls(
            pixels=pixels,
            targets_NT=_on_device(np.where(present_NT, scaled_NT, 0.0), device),
            present_NT=_on_device(present_NT, device),
            patient_N=torch.from_numpy(photographs.patient_index),
        )

    def steps_per_epoch(self, batch_size: int) -> int:
        """Enough for every photograph; never so many that a batch would hold one, on which batch norm fails."""
        num_photographs = self.pixels.num_photographs
        return min(-(-num_photographs // batch_size), num_photographs // 2)

    def epoch(
        self, batch_size: int, generator: torch.Generator, num_skipped: int = 0, handed_on: str = "none"
    ) -> Iterator[Batch]:
        """The photographs in random order, in batches of one size, at most `batch_size`; the first may be skipped.

        As few as possible (less than one a step) are left out of an epoch to make the batches equal: a last batch of
        three would move the weights as much as a full one, and a new shape costs a GPU its tuned kernels. `handed_on`
        are the labels that the network is told (`labels_to_hand`).
        """
        num_photographs, num_steps = self.pixels.num_photographs, self.steps_per_epoch(batch_size)
        order_SB = shuffle_into_steps(num_photographs, num_steps, batch_size, generator)[num_skipped:]
        on_device_SB = order_SB.to(self.targets_NT.device)
        for pixels_BHWC, rows_B in zip(self.pixels.batches(order_SB), on_device_SB, strict=True):
            targets_BT = self.targets_NT.index_select(0, rows_B)
            present_BT = self.present_NT.index_select(0, rows_B)
            yield Batch(
                pixels_BHWC, targets_BT, present_BT, labels_BT=labels_to_hand(handed_on, targets_BT, present_BT)
            )


def shuffle_into_steps(num_rows: int, num_steps: int, batch_size: int, generator: torch.Generator) -> Tensor:
    """Rows (S, B) in random order, on the CPU."""
    size = min(num_rows // num_steps, batch_size)
    return torch.randperm(num_rows, generator=generator)[: num_steps * size].view(num_steps, size)


def labels_to_hand(propagation: str, targets_BT: Tensor, present_BT: Tensor) -> Tensor | None:
    """The labels that a network with this `propagation` takes as an input, NaN where absent; None for most.

    'oracle' is each row's own; 'shuffled' those of the row before, somebody else's since batches are in random order.
    """
    if propagation not in ("oracle", "shuffled"):
        return None
    labels_BT = torch.where(present_BT > 0, targets_BT, torch.nan)
    return labels_BT if propagation == "oracle" else labels_BT.roll(1, dims=0)


def with_known(batch: Batch, share: float, generator: torch.Generator) -> Batch:
    """The batch, telling the network each label with this probability, drawn for every row and task by itself.

    A share of 0 draws nothing. `generator` is on the device of the batch.
    """
    if share == 0:
        return batch
    present_BT = batch.present_BT
    is_drawn_BT = torch.rand(present_BT.shape, generator=generator, device=present_BT.device) < share
    return replace(batch, labels_BT=torch.where(is_drawn_BT & (present_BT > 0), batch.targets_BT, torch.nan))


@dataclass(frozen=True, eq=False)
class KnownJudge:
    """How validation patients are judged when some values of theirs are known."""

    known: tuple[str, ...]
    labels_NT: NDArray[np.floating]
    """Of the photographs, scaled, NaN beside the known tasks: what a network is told that takes known values."""
    values: Callable[[NDArray[np.float64], NDArray[np.float64] | None], NDArray[np.float64]]
    """From outputs (P, T), mean over a patient's photographs, and those of a network that was told (None: it takes
    nothing), to values in units; NaN of patients of whom not all is known."""


@dataclass(frozen=True, eq=False)
class ValidationSet:
    """The photographs to choose by; labels per patient, in units or places of levels."""

    photographs: Photographs
    labels_PT: NDArray[np.float64]
    known: KnownJudge | None = None
    """With it, epochs are judged by the mean of the skill with nothing known and of that with these values known."""


@dataclass(frozen=True, eq=False)
class TrainingData:
    """All that a trial needs beside its config. Making a run from it decodes, scales and copies nothing."""

    tasks: TaskTable
    scaler: LabelScaler
    image_spec: ImageSpec
    fingerprint: str
    device: torch.device
    train: TrainSet
    validation: ValidationSet | None

    @classmethod
    def load(
        cls,
        dataset: PreparedDataset,
        train_splits: Sequence[str] = ("train",),
        validation_split: str | None = "validation",
        device: str = "auto",
        known: KnownJudge | None = None,
    ) -> "TrainingData":
        """Loads the cohort splits to train on and the one to validate on; None validates on nothing.

        `known` is of the split to validate on.

        Pixels stay on a GPU that has the room, else they are mapped. Raises DatasetError when there are fewer than
        two photographs to train on or none to validate on, ConfigError for a device that is not there.
        """
        place = pick_device(device)
        return cls(
            tasks=dataset.tasks,
            scaler=dataset.scaler,
            image_spec=dataset.image_spec,
            fingerprint=dataset.fingerprint,
            device=place,
            train=_train_set(dataset, train_splits, place),
            validation=_validation_set(dataset, validation_split, known) if validation_split is not None else None,
        )


def _train_set(dataset: PreparedDataset, cohort_splits: Sequence[str], device: torch.device) -> TrainSet:
    photographs = dataset.photographs(*cohort_splits)
    if photographs.num_photographs < 2:
        raise DatasetError(
            f"{dataset.uri}: training should have two photographs or more in {', '.join(cohort_splits)}, "
            f"had {photographs.num_photographs}"
        )
    return TrainSet.of(photographs, open_pixels(photographs.shards, device), dataset.scaler, device)


def _validation_set(dataset: PreparedDataset, cohort_split: str, known: KnownJudge | None) -> ValidationSet:
    photographs = dataset.photographs(cohort_split)
    if photographs.num_photographs == 0:
        raise DatasetError(f"{dataset.uri}: validation should have a photograph or more in {cohort_split}, had none")
    return ValidationSet(photographs, photographs.labels_per_patient(dataset.tasks), known)


def _on_device(values_NT: NDArray, device: torch.device) -> Tensor:
    return torch.from_numpy(values_NT.astype(np.float32)).to(device)
