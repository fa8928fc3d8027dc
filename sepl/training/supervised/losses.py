"""The loss of each task on a batch where labels may be absent.

B photographs · T tasks
"""

import torch
from torch import Tensor
from torch.nn import functional


def task_losses(
    outputs_BT: Tensor,
    targets_BT: Tensor,
    present_BT: Tensor,
    is_binary_T: Tensor,
    counts_T: Tensor | None = None,
) -> Tensor:
    """Losses (T,): L1 for a regression task, binary cross-entropy of the logit for a binary one, as the paper has it.

    Each is the mean over the photographs that have the task's label, so that a rarely measured factor counts as much
    as any other. A task without any label in the batch has loss 0 and moves no gradient.

    Args:
        outputs_BT: scaled values, logits for binary tasks.
        targets_BT: scaled labels, 0 or 1 for binary tasks, and any *finite* number where the label is absent: a NaN
            would survive the mask, since 0 · NaN is NaN.
        present_BT: 1 where there is a label, 0 where not, in the outputs' dtype.
        is_binary_T: which tasks are binary.
        counts_T: by how many labels to divide, where the photographs are a part of a batch; theirs by default.
    """
    if counts_T is None:
        counts_T = present_BT.sum(dim=0)
    absolute_BT = (outputs_BT - targets_BT).abs()
    entropy_BT = functional.softplus(outputs_BT) - outputs_BT * targets_BT  # BCE with logits, for labels 0 and 1
    losses_BT = torch.where(is_binary_T, entropy_BT, absolute_BT)  # both for all: cheaper than gathering columns
    return (losses_BT * present_BT).sum(dim=0) / counts_T.clamp(min=1.0)


def total_loss(losses_T: Tensor) -> Tensor:
    """The sum over tasks, as the paper has it.

    The sum rather than the mean, so that figures compare with the released code's; to AdamW, which divides a gradient
    by its own size, the two are the same training.
    """
    return losses_T.sum()
