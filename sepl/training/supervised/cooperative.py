"""Cooperative training after MT-CooL (Wu et al.: MICCAI workshops 2023, arXiv 2309.12090; IEEE TMI 44, 2025).

Task groups take turns. In its turn a group's losses alone are descended, its sub-model reading the features of the
other groups' sub-models as they are: no gradient reaches these, and they are disturbed by bounded noise, so that the
minimum found is flat with regard to them and stays one when they move in their turns.

    min over θ_g, trunk, head   E_ε  Σ_{t in g} L_t(head([z, f_g(z; θ_g), f_s(z; θ_s) disturbed by ε, s ≠ g]))

The paper's equations were not at hand: docs/cooperative.md tells what is known and what is our reading.

    B photographs · F features · G groups · D width of a sub-model · S = G − 1 other groups · T tasks
"""

import random
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from sepl.config import TrainingConfig
from sepl.errors import ConfigError
from sepl.models.parts.group_adapters import GroupedHead, Turn
from sepl.models.parts.network import MultiTaskNetwork
from sepl.training.input.batches import Batch
from sepl.training.supervised.passes import Passes, norms_at_rest
from sepl.training.weighting.base import as_tuple


@dataclass(frozen=True)
class Turns:
    """Whose turn each step is: `inner_steps` steps in a row, group after group, or in a new random order each round."""

    num_groups: int
    inner_steps: int
    is_random: bool
    seed: int

    def group(self, step: int) -> int:
        """Of the step with this index since the beginning; a function of it alone, so that a resumed run agrees."""
        round_, turn = divmod(step // self.inner_steps, self.num_groups)
        if not self.is_random:
            return turn
        return random.Random(f"{self.seed}:turns:{round_}").sample(range(self.num_groups), self.num_groups)[turn]


def bounded_noise(tensor: Tensor, *, kind: str, radius: float) -> Tensor:
    """Noise of a tensor's shape, no number of it above `radius` times the root mean square of its group (first axis).

    'uniform' fills that range evenly; 'gaussian' has half of it as its standard deviation and is cut off at its ends.
    """
    bound = radius * _root_mean_square(tensor)
    if kind == "uniform":
        return bound * (2 * torch.rand_like(tensor) - 1)
    return bound * (0.5 * torch.randn_like(tensor)).clamp(-1, 1)


def ascent(tensor: Tensor, gradient: Tensor, *, radius: float) -> Tensor:
    """The step of that radius along which a loss with this gradient rises most (SAM: Foret et al. 2021, 2010.01412).

    Its length is `radius` times that of the tensor, group by group; 0 where there is no gradient.
    """
    gradient_rms = _root_mean_square(gradient)
    return torch.where(gradient_rms > 0, radius * _root_mean_square(tensor) * gradient / gradient_rms, 0.0)


def _root_mean_square(tensor: Tensor) -> Tensor:
    """Of each group, the first axis."""
    axes = tuple(range(1, tensor.ndim))
    return tensor.square().mean(dim=axes, keepdim=True).sqrt()


class CooperativeTurns:
    """The gradients of one batch in the turn of one group: its own tasks', none of another sub-model."""

    def __init__(self, passes: Passes, settings: TrainingConfig) -> None:
        """Raises ConfigError for a network without groups and a weighting that asks for the losses of all tasks."""
        self._head = _grouped_head(passes.network)
        if passes.weighting.looks_again:
            raise ConfigError(f"weighting should not be {settings.weighting!r} in cooperative training")
        self._passes, self._settings = passes, settings
        self._turns = Turns(
            self._head.num_groups,
            settings.cooperative_inner_steps,
            settings.cooperative_order == "random",
            settings.seed,
        )

    def backward(self, images_BCHW: Tensor, batch: Batch, step: int) -> Tensor:
        """Losses (T,) of the tasks of the group whose turn the step is, times the number of groups: an epoch's mean is
        then about that of all."""
        group = self._turns.group(step)
        batch = replace(batch, present_BT=batch.present_BT * self._head.in_group_GT[group])
        turn = self.turn(group, images_BCHW, batch)
        return self._head.num_groups * self._passes.backward(images_BCHW, batch, turn)

    def turn(self, group: int, images_BCHW: Tensor, batch: Batch) -> Turn:
        """A group's turn on a batch that has the labels of its tasks alone."""
        settings = self._settings
        turn = Turn(group, settings.cooperative_place, torch.zeros_like, settings.cooperative_draws)
        if settings.cooperative_noise == "none":
            return turn
        if settings.cooperative_noise != "ascent":
            noise = partial(bounded_noise, kind=settings.cooperative_noise, radius=settings.cooperative_radius)
            return replace(turn, disturb=noise)
        steps = self._ascents(turn, images_BCHW, batch)
        is_of_batch = settings.cooperative_place == "features"
        return replace(turn, disturb=lambda tensor: steps[tensor.shape], is_of_batch=is_of_batch)

    def _ascents(self, turn: Turn, images_BCHW: Tensor, batch: Batch) -> dict[torch.Size, Tensor]:
        """What to add to each disturbed tensor, by its shape: features, or weights and biases; by one pass more."""
        asked: list[tuple[Tensor, Tensor]] = []

        def add_nothing(tensor: Tensor) -> Tensor:
            asked.append((tensor.detach(), torch.zeros_like(tensor, requires_grad=True)))
            return asked[-1][1]

        passes = self._passes
        before = passes.streams.now()
        context = replace(batch.context(), turn=replace(turn, disturb=add_nothing))
        with norms_at_rest(passes.network), passes.autocast():
            outputs_BO = passes.network.predict(self._represent_in_parts(images_BCHW, batch), context)
        total = passes.losses_of(outputs_BO, batch).sum()
        gradients = torch.autograd.grad(total, [added for _, added in asked], allow_unused=True, materialize_grads=True)
        passes.streams.jump(before)
        radius = self._settings.cooperative_radius
        return {
            tensor.shape: ascent(tensor, gradient, radius=radius)
            for (tensor, _), gradient in zip(asked, gradients, strict=True)
        }

    @torch.no_grad()
    def _represent_in_parts(self, images_BCHW: Tensor, batch: Batch) -> Tensor:
        represent = self._passes.network.represent
        parts = [as_tuple(represent(images_BCHW[batch.photographs(rows)])) for rows in self._passes.parts(batch)]
        (features_BF,) = (torch.cat(pieces) for pieces in zip(*parts, strict=True))  # of a trunk: one tensor
        return features_BF


def _grouped_head(network: MultiTaskNetwork) -> GroupedHead:
    head = getattr(network, "head", None)
    if not isinstance(head, GroupedHead):
        raise ConfigError("cooperative training takes turns among task_groups, which should be set, were 'none'")
    return head
