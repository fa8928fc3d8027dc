"""Customised gate control, and progressive layered extraction, which stacks it.

Tang, Liu, Zhao, Gong: Progressive Layered Extraction (PLE), RecSys 2020, doi 10.1145/3383313.3412236.

At a level with inputs x_t of each task and x_s shared, all of them z = f(x) at the first:

    h_ti = relu(U_ti x_t + c_ti)                            experts of task t
    h_sj = relu(U_sj x_s + c_sj)                            shared experts
    x_t' = sum_i g_ti h_ti + sum_j g_tj h_sj                g_t = softmax(W_t x_t) over own and shared experts
    x_s' = the same over the experts of all                 g_s = softmax(W_s x_s); not at the last level
    y_t  = w_t · x_t' + b_t                                 after the last

CGC is one level. Its own experts belong to one task alone; in PLE the experts of lower levels reach all tasks.

Axes: B photograph, F feature (input of a level), H hidden, T task, O output, M own experts a task, S shared experts.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sepl.models.parts.linear import BatchedLinear, TaskHeads


class CgcHead(nn.Module):
    """Features (B, F) to outputs (B, O) through `num_levels` levels: 1 is CGC, more are PLE."""

    def __init__(
        self,
        num_features: int,
        num_tasks: int,
        num_outputs: Sequence[int] | None = None,
        *,
        num_experts: int,
        num_task_experts: int,
        hidden_width: int,
        num_levels: int = 1,
    ) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            Extraction(
                num_features if level == 0 else hidden_width,
                num_tasks,
                num_experts=num_experts,
                num_task_experts=num_task_experts,
                hidden_width=hidden_width,
                is_last=level == num_levels - 1,
            )
            for level in range(num_levels)
        )
        self.num_tasks = num_tasks
        self.task_heads = TaskHeads(num_tasks, hidden_width, num_outputs)

    def forward(self, features_BF: Tensor) -> Tensor:
        tasks_TBF, shared_BF = features_BF.expand(self.num_tasks, -1, -1), features_BF
        for level in self.levels:
            tasks_TBF, shared_BF = level(tasks_TBF, shared_BF)
        return self.task_heads(tasks_TBF.transpose(0, 1))


class Extraction(nn.Module):
    """One level: inputs (T, B, F) of the tasks and (B, F) shared to (T, B, H) and (B, H)."""

    def __init__(
        self,
        num_features: int,
        num_tasks: int,
        *,
        num_experts: int,
        num_task_experts: int,
        hidden_width: int,
        is_last: bool,
    ) -> None:
        super().__init__()
        self.num_tasks, self.num_experts, self.num_task_experts = num_tasks, num_experts, num_task_experts
        num_own = num_tasks * num_task_experts
        self.task_experts = BatchedLinear(num_own, num_features, hidden_width)
        self.shared_experts = BatchedLinear(num_experts, num_features, hidden_width)
        self.task_gates = BatchedLinear(num_tasks, num_features, num_task_experts + num_experts)
        # its own and the shared experts apart, so that the rows of a task are its own
        self.shared_gate_own = None if is_last else nn.Linear(num_features, num_own)
        self.shared_gate = None if is_last else nn.Linear(num_features, num_experts)

    def forward(self, tasks_TBF: Tensor, shared_BF: Tensor) -> tuple[Tensor, Tensor]:
        own_TMBH = self._consult_own(tasks_TBF)
        shared_SBH = self.shared_experts(shared_BF.expand(self.num_experts, -1, -1)).relu_()
        gates_TBG = self.task_gates(tasks_TBF).softmax(dim=2)
        own_TBM, of_shared_TBS = gates_TBG.split([self.num_task_experts, self.num_experts], dim=2)
        mixed_TBH = _mix(own_TBM, own_TMBH) + torch.einsum("tbs,sbh->tbh", of_shared_TBS, shared_SBH)
        return mixed_TBH, self._mix_shared(shared_BF, own_TMBH, shared_SBH)

    def _consult_own(self, tasks_TBF: Tensor) -> Tensor:
        inputs_TMBF = tasks_TBF.unsqueeze(1).expand(-1, self.num_task_experts, -1, -1)
        return self.task_experts(inputs_TMBF.flatten(0, 1)).relu_().unflatten(0, (self.num_tasks, -1))

    def _mix_shared(self, shared_BF: Tensor, own_TMBH: Tensor, shared_SBH: Tensor) -> Tensor:
        if self.shared_gate_own is None or self.shared_gate is None:
            return shared_BF  # nothing follows that would read it
        scores_BG = torch.cat([self.shared_gate_own(shared_BF), self.shared_gate(shared_BF)], dim=1)
        experts_GBH = torch.cat([own_TMBH.flatten(0, 1), shared_SBH])
        return torch.einsum("bg,gbh->bh", scores_BG.softmax(dim=1), experts_GBH)


def _mix(gates_TBM: Tensor, experts_TMBH: Tensor) -> Tensor:
    return torch.einsum("tbm,tmbh->tbh", gates_TBM, experts_TMBH)
