"""The loss of each task on a batch where labels may be absent.

    regression    |o − y|
    binary        log(1 + e^o) − y o                                the cross-entropy of the logit o
    ordinal       Σ_{k ≤ y} log(1 + e^o_k) − [y > k] o_k            −log P(y), o_k the logit of P(y > k | y ≥ k)
    categorical   log Σ_c e^o_c − o_y                               −log P(y), the cross-entropy of the logits o_c

The first two are the paper's. The ordinal one is CORN's (Shi, Cao, Raschka: Deep Neural Networks for Rank-Consistent
Ordinal Regression Based on Conditional Probabilities, Pattern Analysis and Applications 26, 2023, arXiv 2111.08851),
divided by the number of labels, as every loss here, and not by the number of steps that they reach.

B photographs · T tasks · O outputs · K outputs of one task
"""

import torch
from torch import Tensor
from torch.nn import functional

from sepl.tasks import TaskTable


class TaskLosses:
    """The losses of a table's tasks, made once a run: what a step asks for lies on the device."""

    def __init__(self, tasks: TaskTable, device: torch.device) -> None:
        graded = [place for place, task in enumerate(tasks) if task.is_graded]
        single = [place for place, task in enumerate(tasks) if not task.is_graded]
        self.device = device
        self._is_binary_S = torch.tensor([tasks.is_binary[place] for place in single], dtype=torch.bool, device=device)
        self._single_S = torch.tensor(single, dtype=torch.long, device=device)
        self._single_O = torch.tensor([tasks.outputs[place].start for place in single], dtype=torch.long, device=device)
        self._graded = [(place, tasks.outputs[place], tasks.root[place].kind == "ordinal") for place in graded]
        most = max((task.num_outputs for task in tasks), default=1)
        self._places_K = torch.arange(most, dtype=torch.float32, device=device)
        self._table_order_T = torch.tensor(single + graded, device=device).argsort()

    def __call__(
        self, outputs_BO: Tensor, targets_BT: Tensor, present_BT: Tensor, counts_T: Tensor | None = None
    ) -> Tensor:
        """Losses (T,): each the mean over the photographs that have the task's label.

        So a rarely measured factor counts as much as any other. A task without any label in the batch has loss 0 and
        moves no gradient.

        Args:
            outputs_BO: scaled values, logits for tasks of other kinds than regression.
            targets_BT: scaled labels, 0 or 1 for binary tasks, places of levels for graded ones, and any *finite*
                number where the label is absent: a NaN would survive the mask, since 0 · NaN is NaN.
            present_BT: 1 where there is a label, 0 where not, in the outputs' dtype.
            counts_T: by how many labels to divide, where the photographs are a part of a batch; theirs by default.
        """
        if not self._graded:
            return task_losses(outputs_BO, targets_BT, present_BT, self._is_binary_S, counts_T)
        single_BS = _single_losses(
            outputs_BO.index_select(1, self._single_O), targets_BT.index_select(1, self._single_S), self._is_binary_S
        )
        graded = [
            self._graded_loss(outputs_BO[:, columns], targets_BT[:, place, None], is_ordinal)
            for place, columns, is_ordinal in self._graded
        ]
        losses_BT = torch.cat([single_BS, torch.stack(graded, dim=1)], dim=1).index_select(1, self._table_order_T)
        return _mean_over_labels(losses_BT, present_BT, counts_T)

    def _graded_loss(self, outputs_BK: Tensor, levels_B1: Tensor, is_ordinal: bool) -> Tensor:
        """(B,); the outputs that say nothing of the label are masked, not gathered, so that nothing is waited for."""
        places_K = self._places_K[: outputs_BK.shape[1]]
        if is_ordinal:
            steps_BK = functional.softplus(outputs_BK) - outputs_BK * (levels_B1 > places_K)
            return (steps_BK * (levels_B1 >= places_K)).sum(dim=1)
        return outputs_BK.logsumexp(dim=1) - (outputs_BK * (levels_B1 == places_K)).sum(dim=1)


def task_losses(
    outputs_BT: Tensor,
    targets_BT: Tensor,
    present_BT: Tensor,
    is_binary_T: Tensor,
    counts_T: Tensor | None = None,
) -> Tensor:
    """Losses (T,) of regression and binary tasks alone, as `TaskLosses` has them; `is_binary_T` tells which."""
    return _mean_over_labels(_single_losses(outputs_BT, targets_BT, is_binary_T), present_BT, counts_T)


def _single_losses(outputs_BT: Tensor, targets_BT: Tensor, is_binary_T: Tensor) -> Tensor:
    """(B, T)."""
    absolute_BT = (outputs_BT - targets_BT).abs()
    entropy_BT = functional.softplus(outputs_BT) - outputs_BT * targets_BT  # BCE with logits, for labels 0 and 1
    return torch.where(is_binary_T, entropy_BT, absolute_BT)  # both for all: cheaper than gathering columns


def _mean_over_labels(losses_BT: Tensor, present_BT: Tensor, counts_T: Tensor | None) -> Tensor:
    """(T,)."""
    counts_T = present_BT.sum(dim=0) if counts_T is None else counts_T
    return (losses_BT * present_BT).sum(dim=0) / counts_T.clamp(min=1.0)


def total_loss(losses_T: Tensor) -> Tensor:
    """The sum over tasks, as the paper has it.

    The sum rather than the mean, so that figures compare with the released code's; to AdamW, which divides a gradient
    by its own size, the two are the same training.
    """
    return losses_T.sum()
