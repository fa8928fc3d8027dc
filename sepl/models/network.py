"""What every family of networks is: photographs in, one output a task out, in steps that training can cut between.

    represent   images (B, 3, H, W) → the shared representation, whose gradients weightings combine
    features    that → what a photograph comes to: (B, F), or (B, T, F) where every task has features of its own
    fuse        the features of a patient's photographs → one row a patient; only where photographs are joined
    decide      features → outputs (B, T)

Axes: B photograph, C channel, H height, W width, F feature, T task, P patient.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

Representation = Tensor | tuple[Tensor, ...]


class MultiTaskNetwork(nn.Module):
    """Base of every family. Outputs are in the order of the task table: scaled values, logits for binary tasks."""

    has_shared_trunk: ClassVar[bool] = True
    """Whether all tasks are predicted from one representation, so that gradients there say how tasks disagree."""

    def __init__(self, num_tasks: int) -> None:
        super().__init__()
        self.num_tasks = num_tasks

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Outputs (B, T) of normalised images (see `sepl.models.pixels.to_input`)."""
        return self.predict(self.represent(images_BCHW))

    def represent(self, images_BCHW: Tensor) -> Representation:
        """What the tasks share of a photograph; of a family without a shared trunk, all that the networks see."""
        raise NotImplementedError

    def predict(self, representation: Representation) -> Tensor:
        """Outputs (B, T) from what `represent` gave."""
        return self.decide(self.features(representation))

    def features(self, representation: Representation) -> Tensor:
        """Features (B, F) or (B, T, F)."""
        assert isinstance(representation, Tensor), "a family with several tensors says what they come to"
        return representation

    def decide(self, features: Tensor) -> Tensor:
        """Outputs (B, T) from features."""
        raise NotImplementedError

    def penalty(self) -> Tensor:
        """What the family adds to the losses, of the last forward in training mode; asked once a step."""
        return torch.zeros((), device=next(self.parameters()).device)
