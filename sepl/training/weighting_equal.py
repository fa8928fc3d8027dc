"""The paper's way to weigh the losses of several tasks: their plain sum.

The seam that every way of weighting keeps is `EqualWeighting`'s; the loop's step is

    representation = network.represent(images)
    outputs_BT     = network.predict(weighting.branch(representation))
    losses_T       = task_losses(outputs_BT, …)
    weighting.backward(losses_T, present_T, representation, network)
    optimiser.step()
    weighting.after_step(…)              # only where weighting.looks_again

    T tasks of the table
"""

from torch import Tensor, nn

from sepl.training.losses import total_loss


class EqualWeighting(nn.Module):
    """The sum of all losses, whatever the network shares."""

    looks_again = False
    """Whether `after_step` wants the losses of the same batch once more, after the optimiser's step."""

    def branch(self, representation: Tensor) -> Tensor:
        """What the tasks are predicted from."""
        return representation

    def backward(self, losses_T: Tensor, present_T: Tensor, representation: Tensor, network: nn.Module) -> None:  # noqa: ARG002 - others weigh by them
        """Adds the gradients of the sum to `.grad`; `present_T` is bool, which tasks have a label in the batch."""
        total_loss(losses_T).backward()

    def after_step(self, losses_T: Tensor, present_T: Tensor) -> None:
        """Takes the losses of the same batch after the optimiser's step."""

    def end_epoch(self) -> None:
        """An epoch's steps are over."""
