"""What every family of networks is: photographs in, each task's outputs out, in steps that training can cut between.

    represent   images (B, 3, H, W) → the shared representation, whose gradients weightings combine
    features    that → what a photograph comes to: (B, F), or (B, T, F) where every task has features of its own
    fuse        the features of a patient's photographs → one row a patient, (P, F) or (P, T, F); only with `fusion`
    decide      features → outputs (B, O), or (P, O)

A task has one output; an ordinal one a logit for each step between its grades, a categorical one a logit a class.

Axes: B photograph, C channel, H height, W width, F feature, T task, O output, P patient.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from sepl.data.imaging.photograph import IMAGENET, Normalisation
from sepl.models.parts.fusion import Fusion, PhotographSets
from sepl.models.parts.group_adapters import Turn
from sepl.tasks import TaskTable

Representation = Tensor | tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Context:
    """What is known of a batch beside its photographs; most networks need nothing of it."""

    sets: PhotographSets | None = None
    """Which photographs are one patient's. Without it, to a network with fusion, each photograph is a patient."""
    labels_BT: Tensor | None = None
    """Scaled labels, NaN where absent, a row an output; for networks that `need_labels`, and those that `take_known`
    values, which have the known ones among them."""
    turn: Turn | None = None
    """In cooperative training, which group's it is; for networks with task groups."""
    penalties: list[Tensor] | None = None
    """A list of its own for a forward whose `penalty` is asked for next: what that is made of is added to it."""


NO_CONTEXT = Context()


class MultiTaskNetwork(nn.Module):
    """Base of every family. Outputs are in the order of the task table: scaled values, logits for all other kinds."""

    has_shared_trunk: ClassVar[bool] = True
    """Whether all tasks are predicted from one representation, so that gradients there say how tasks disagree."""
    needs_labels: bool = False
    """Whether labels are an input, even of an evaluation: such a network is an upper bound or a control, no model."""
    takes_known: bool = False
    """Whether labels may be an input where they are known; without any it predicts as every network."""

    def __init__(self, num_tasks: int, fusion: Fusion | None = None) -> None:
        super().__init__()
        self.num_tasks = num_tasks
        self.fusion = fusion
        self.normalisation: Normalisation = IMAGENET
        """Of the pixels that become its images; `sepl.models.build` gives a network its backbone's."""
        self.tasks: TaskTable | None = None
        """Whose outputs these are; `sepl.models.build` tells. Without it, every task has one."""

    @property
    def joins_patients(self) -> bool:
        """Whether a patient's photographs are judged together, by the network itself."""
        return self.fusion is not None

    @property
    def waits_for_patients(self) -> bool:
        """Whether outputs rest on more than a photograph: the patient's others, or what is known of the patient."""
        return self.joins_patients or self.takes_known

    def forward(self, images_BCHW: Tensor, context: Context = NO_CONTEXT) -> Tensor:
        """Outputs (B, O) of normalised images (see `sepl.models.pixels.to_input`); with fusion and sets, (P, O)."""
        return self.predict(self.represent(images_BCHW), context)

    def represent(self, images_BCHW: Tensor) -> Representation:
        """What the tasks share of a photograph; of a family without a shared trunk, all that its networks see."""
        raise NotImplementedError

    def predict(self, representation: Representation, context: Context = NO_CONTEXT) -> Tensor:
        """Outputs from what `represent` gave."""
        return self.judge(self.features(representation), context)

    def judge(self, features: Tensor, context: Context = NO_CONTEXT) -> Tensor:
        """Outputs from what `features` gave, after fusion."""
        if self.fusion is not None:
            features = self.fusion(features, context.sets or PhotographSets.alone(features))
        return self.decide(features, context)

    def features(self, representation: Representation) -> Tensor:
        """Features (B, F) or (B, T, F), a row a photograph."""
        assert isinstance(representation, Tensor), "a family of several tensors says what they come to"
        return representation

    def decide(self, features: Tensor, context: Context = NO_CONTEXT) -> Tensor:
        """Outputs, a row for each of the features."""
        raise NotImplementedError

    @property
    def num_outputs(self) -> int:
        """O."""
        return self.num_tasks if self.tasks is None else self.tasks.num_outputs

    @property
    def has_penalty(self) -> bool:
        """Whether `penalty` is ever anything but 0."""
        return False

    def penalty(self, context: Context = NO_CONTEXT) -> Tensor:
        """What the family adds to the losses of the forward that had this context, with its `penalties`."""
        del context
        return torch.zeros((), device=next(self.parameters()).device)
