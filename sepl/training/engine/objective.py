"""What a run learns: the seam between the engine and the kinds of training.

For each step the engine asks

    inputs = objective.inputs(batch)       what the network is given of one of `objective.batches`
    objective.backward(inputs, step)       gradients, added to the parameters' `.grad`
    (the optimiser's step)
    objective.after_step(inputs)

and at the end of each epoch `end_epoch`, `validate`, `epoch_result`. What the objective remembers between two steps is
its `state_dict`, which the engine saves and restores beside its own.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

BatchT = TypeVar("BatchT")
InputsT = TypeVar("InputsT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Pace:
    """Where a run stands at the end of an epoch, and how fast it went."""

    epoch: int
    """From 1."""
    num_epochs: int
    is_last: bool
    """Whether the run is over: all its epochs are done, or it has stopped early."""
    seconds: float
    """Training and validation, since the run was made or restored if that was within the epoch."""
    photographs_per_second: float
    """Of training alone."""


class Objective(ABC, Generic[BatchT, InputsT, ResultT]):
    """One kind of training, of one network."""

    @property
    @abstractmethod
    def steps_per_epoch(self) -> int:
        """The same for all epochs of a run."""

    @property
    def beside(self) -> nn.Module | None:
        """What is learned beside the network, by the same optimiser."""
        return None

    @abstractmethod
    def batches(self, order: torch.Generator, num_skipped: int) -> Iterator[BatchT]:
        """Those of an epoch in an order drawn from `order`, without the first so many."""

    @abstractmethod
    def num_photographs(self, batch: BatchT) -> int:
        """For the run's pace."""

    @abstractmethod
    def inputs(self, batch: BatchT) -> InputsT:
        """What a step works on, on the device: the batch, augmented."""

    @abstractmethod
    def backward(self, inputs: InputsT, step: int) -> None:
        """Adds gradients to `.grad`; `step` is the index of the optimiser's step since the beginning of the run."""

    def after_step(self, inputs: InputsT) -> None:
        """The optimiser has made its step on these inputs."""

    def begin_epoch(self) -> None:
        """No step of the epoch has been made."""

    def end_epoch(self, epoch: int) -> None:
        """The epoch's steps are over. Raises DivergedError when they came to no finite figure."""

    @abstractmethod
    def validate(self, network: nn.Module, epoch: int) -> bool | None:
        """Whether `network` is better than after all epochs before; None where there is nothing to judge by, so that
        the latest weights are the ones to keep. Raises DivergedError."""

    @abstractmethod
    def epoch_result(self, pace: Pace) -> ResultT:
        """What the epoch just validated came to."""

    @abstractmethod
    def state_dict(self) -> dict[str, Tensor]:
        """All that later steps and epochs depend on."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from there, to the bit."""
