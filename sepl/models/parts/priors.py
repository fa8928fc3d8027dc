"""What of the priors is handed on: their predicted outputs, or in experiments the truth in their place.

An ordinal prior is handed on as the logits of its steps, a categorical one as those of its classes; as probabilities
each step's sigmoid, and the softmax over the classes.

Axes: B photograph, T task, P output of a prior.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sepl.config import BinaryPrior
from sepl.tasks import TaskKind

TRUE_LOGIT = 4.0
"""Logit that stands for a prior known to be true: a probability of 98 %, as a sure prediction has."""


class Priors(nn.Module):
    """The priors of a table, as others see them."""

    def __init__(
        self,
        kinds: Sequence[TaskKind],
        num_outputs: Sequence[int],
        is_prior: Sequence[bool],
        binary_prior: BinaryPrior,
    ) -> None:
        """Of each task of the table: its kind, how many outputs it has, and whether it is a prior."""
        super().__init__()
        tasks = [task for task, prior in enumerate(is_prior) if prior]
        columns = [(task, place) for task in tasks for place in range(num_outputs[task])]
        kinds_P = [kinds[task] for task, _ in columns]
        self._is_probability = binary_prior == "probability" and any(kind != "regression" for kind in kinds_P)
        self._sizes = [num_outputs[task] for task in tasks]
        self._has_classes = "categorical" in kinds_P
        unknown = [1 / num_outputs[task] if kinds[task] == "categorical" else 0.5 for task, _ in columns]
        self._task_P: Tensor
        self._place_P: Tensor
        self._unknown_P: Tensor
        self._is_logit_P: Tensor
        self._is_step_P: Tensor
        self._is_class_P: Tensor
        self.register_buffer("_task_P", torch.tensor([t for t, _ in columns], dtype=torch.long), persistent=False)
        self.register_buffer("_place_P", torch.tensor([float(place) for _, place in columns]), persistent=False)
        self.register_buffer("_unknown_P", torch.tensor(unknown), persistent=False)
        self.register_buffer("_is_logit_P", _are(kinds_P, "binary", "ordinal", "categorical"), persistent=False)
        self.register_buffer("_is_step_P", _are(kinds_P, "ordinal"), persistent=False)
        self.register_buffer("_is_class_P", _are(kinds_P, "categorical"), persistent=False)

    @property
    def num_outputs(self) -> int:
        """P."""
        return sum(self._sizes)

    def forward(self, priors_BP: Tensor) -> Tensor:
        """Of predicted outputs."""
        if not self._is_probability:
            return priors_BP
        shares_BP = torch.where(self._is_logit_P, priors_BP.sigmoid(), priors_BP)
        if not self._has_classes:
            return shares_BP
        return torch.where(self._is_class_P, self._softmax(priors_BP), shares_BP)

    def true(self, labels_BT: Tensor, dtype: torch.dtype) -> Tensor:
        """Of scaled labels, NaN where absent: there 0 stands, or as a probability that of not knowing.

        A step beyond the grade counts as not taken, whether it was reached or not.
        """
        labels_BP = labels_BT.index_select(1, self._task_P).to(dtype)
        shares_BP = self._shares(labels_BP)
        if self._is_probability:
            handed_BP = torch.where(shares_BP.isnan(), self._unknown_P.to(dtype), shares_BP)
        else:
            handed_BP = (TRUE_LOGIT * (2 * shares_BP - 1)).nan_to_num(0.0)
        return torch.where(self._is_logit_P, handed_BP, labels_BP.nan_to_num(0.0))

    def is_known(self, labels_BT: Tensor) -> Tensor:
        """(B, P), whether the label that decides each output is there."""
        return labels_BT.index_select(1, self._task_P).isfinite()

    def _shares(self, labels_BP: Tensor) -> Tensor:
        """1 where a step is taken or a class is the photograph's, else 0; a binary label is that already."""
        is_so_BP = torch.where(self._is_step_P, labels_BP > self._place_P, labels_BP == self._place_P)
        is_known_level_BP = (self._is_step_P | self._is_class_P) & ~labels_BP.isnan()
        return torch.where(is_known_level_BP, is_so_BP.to(labels_BP.dtype), labels_BP)

    def _softmax(self, priors_BP: Tensor) -> Tensor:
        """Over each prior's own outputs."""
        return torch.cat([part.softmax(dim=1) for part in priors_BP.split(self._sizes, dim=1)], dim=1)


def _are(kinds_P: Sequence[str], *wanted: TaskKind) -> Tensor:
    return torch.tensor([kind in wanted for kind in kinds_P]).bool()
