"""Tasks with several outputs each: a grade's steps, a class's logits.

Axes: T task, O output; those of a task stand together, tasks in order.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class PerOutput(nn.Module):
    """What there is of each task, once for each of its outputs: T along an axis becomes O.

    Where every task has one output it hands on what it is given.
    """

    def __init__(self, num_tasks: int, num_outputs: Sequence[int] | None = None) -> None:
        """`num_outputs` says of each task how many it has; one each by default."""
        super().__init__()
        counts = [1] * num_tasks if num_outputs is None else list(num_outputs)
        assert len(counts) == num_tasks, "one number of outputs a task"
        self.total = sum(counts)
        self._is_one_each = self.total == num_tasks
        self._task_O: Tensor
        task_O = torch.arange(num_tasks).repeat_interleave(torch.tensor(counts, dtype=torch.long))
        self.register_buffer("_task_O", task_O, persistent=False)

    def forward(self, per_task: Tensor, dim: int) -> Tensor:
        return per_task if self._is_one_each else per_task.index_select(dim, self._task_O)
