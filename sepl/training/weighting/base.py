"""How the losses of several tasks move one network: the seam between the training loop and the ways of weighting.

A step is

    representation = network.represent(images)
    outputs_BO     = network.predict(weighting.branch(representation), …)
    losses_T       = task_losses(outputs_BO, …)
    weighting.backward(losses_T, present_T, representation, network.penalty(…))
    optimiser.step()
    weighting.after_step(…)              # only where weighting.looks_again

Every way leaves out a task that has no label in the batch: its gradients, and what is remembered of it, stay as if it
did not exist. What a weighting learns or remembers is in its `state_dict`, so that a resumed run repeats exactly.

    T tasks of the table
"""

from torch import Tensor, nn

from sepl.models.parts.network import Representation


class Weighting(nn.Module):
    """Base of every way, with what most of them need not do. Its parameters are learned by the run's optimiser."""

    needs_shared_trunk = False
    """Whether it works on a representation that all tasks share, which some families have not."""
    adds_up = False
    """Whether the gradients of a batch's parts add up to the batch's: true of a sum of losses with constant weights."""
    looks_again = False
    """Whether `after_step` wants the losses of the same batch once more, after the optimiser's step."""

    def branch(self, representation: Representation | None) -> Representation | None:
        """What the tasks are predicted from; the representation itself unless gradients are to stop there."""
        return representation

    def backward(
        self,
        losses_T: Tensor,
        present_T: Tensor,
        representation: Representation | None,  # noqa: ARG002 - for those that weigh gradients
        penalty: Tensor,
    ) -> None:
        """Adds to `.grad` of the network's parameters and of the weighting's own.

        Args:
            losses_T: each task's mean loss over the photographs that have its label; 0 without any.
            present_T: bool, which tasks have a label in the batch.
            representation: what `network.represent` gave, None from a family without a shared trunk.
            penalty: what the family adds to the losses; it is added as it is.
        """
        (self.total(losses_T, present_T) + penalty).backward()

    def total(self, losses_T: Tensor, present_T: Tensor) -> Tensor:
        """The one loss that a weighting of losses descends; those of gradients have none."""
        raise NotImplementedError

    def after_step(self, losses_T: Tensor, present_T: Tensor) -> None:
        """Takes the losses of the same batch after the optimiser's step, where `looks_again`."""

    def end_epoch(self) -> None:
        """An epoch's steps are over."""


def as_tuple(representation: Representation) -> tuple[Tensor, ...]:
    return representation if isinstance(representation, tuple) else (representation,)
