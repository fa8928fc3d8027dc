"""Multi-gate mixture of experts.

Ma, Zhao, Yi, Chen, Hong, Chi: Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts,
KDD 2018, doi 10.1145/3219819.3220007.

    h_e = relu(U_e z + c_e)
    g_t = softmax(W_t z + a_t)
    y_t = w_t · (sum_e g_te h_e) + b_t

Gates and experts see the pooled features z = f(x). SePL differs by what it knows: gates and experts also see priors.

A task of several outputs (grades, classes) has one gate, and a w and b for each.

Axes: B photograph, F feature, E expert, H hidden, T task, O output.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from sepl.models.parts.gates import LoadBalance, open_gates
from sepl.models.parts.linear import BatchedLinear
from sepl.models.parts.outputs import PerOutput


class MmoeHead(nn.Module):
    """Features (B, F) to outputs (B, O)."""

    def __init__(
        self,
        num_features: int,
        num_tasks: int,
        num_outputs: Sequence[int] | None = None,
        *,
        num_experts: int,
        hidden_width: int,
        gate_top_k: int = 0,
        load_balance: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_experts, self.gate_top_k = num_experts, gate_top_k
        self.experts = BatchedLinear(num_experts, num_features, hidden_width)
        self.gates = nn.Linear(num_features, num_tasks * num_experts)
        self.outputs = PerOutput(num_tasks, num_outputs)
        self.task_heads = nn.Linear(hidden_width, self.outputs.total)
        self.balance = LoadBalance(load_balance)

    def forward(self, features_BF: Tensor, penalties: list[Tensor] | None = None) -> Tensor:
        """The balance of the experts is added to `penalties`."""
        scores_BTE = self.gates(features_BF).unflatten(1, (-1, self.num_experts))
        gates_BTE = open_gates(scores_BTE, self.gate_top_k)
        self.balance.charge(gates_BTE, penalties)
        experts_EBH = self.experts(features_BF.expand(self.num_experts, -1, -1)).relu_()
        predicted_EBO = experts_EBH @ self.task_heads.weight.T  # predictions are mixed: no (B, T, H) tensor is formed
        gates_BOE = self.outputs(gates_BTE, dim=1)
        return (gates_BOE * predicted_EBO.permute(1, 2, 0)).sum(dim=2) + self.task_heads.bias
