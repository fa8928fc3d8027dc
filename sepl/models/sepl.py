"""The head of SePL: simple factors are predicted first and propagated to the harder ones.

Ko, Yang, Bum, Le, Choo: MICCAI 2025, LNCS 15974, doi 10.1007/978-3-032-05182-0_55, as the released code has it
(github.com/shko0215/SePL, b9c7ffd), for any number of features, priors, targets and experts:

    p     = W z + b                                   priors, from the image features z
    g_t   = softmax(W_t [z; p] + b_t)                 a gate per target, over the experts
    h_e   = relu(U_e z + c_e)                         expert e: its image part,
    r_e   = relu(V_e (p * softmax(A_e p + a_e)) + d_e)        its part of the priors it attends to, twice as wide,
    o_e   = relu(O_e [h_e; r_e] + q_e)                        and what it says
    y_t   = w_t · (sum_e g_te o_e) + b_t              targets

Axes: B photograph, F feature, P prior, R = 2 P, E expert, H hidden, T target, K task (priors and targets).
"""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from sepl.config import BinaryPrior, Propagation


class SeplHead(nn.Module):
    """Features (B, F) to outputs (B, K) in the order of the task table.

    `is_binary` and `is_prior` say of each task, in the table's order, what it is. Outputs are scaled values, and logits
    for binary tasks. All experts, gates and heads are a few batched matrix products.

    Every layer starts as PyTorch starts an `nn.Linear` of its own: uniform within 1 / sqrt(inputs).
    """

    def __init__(
        self,
        num_features: int,
        *,
        is_binary: Sequence[bool],
        is_prior: Sequence[bool],
        num_experts: int,
        hidden_width: int,
        propagation: Propagation,
        binary_prior: BinaryPrior,
    ) -> None:
        super().__init__()
        assert len(is_binary) == len(is_prior), "one flag a task"
        priors = [k for k, prior in enumerate(is_prior) if prior]
        targets = [k for k, prior in enumerate(is_prior) if not prior]
        self.num_tasks = len(is_prior)
        self.num_experts = num_experts
        self.propagation = propagation
        num_propagated = 0 if propagation == "none" else len(priors)

        self.prior_heads = nn.Linear(num_features, len(priors)) if priors else None
        self.gates = nn.Linear(num_features + num_propagated, len(targets) * num_experts)
        self.experts = Experts(num_features, num_propagated, num_experts, hidden_width)
        self.target_heads = nn.Linear(hidden_width, len(targets))

        as_probability = [binary_prior == "probability" and is_binary[k] for k in priors]
        self.register_buffer("_as_probability_P", torch.tensor(as_probability, dtype=torch.bool), persistent=False)
        self._has_probability = any(as_probability)
        order = torch.tensor(priors + targets).argsort()
        self.register_buffer("_table_order_K", order, persistent=False)
        self._is_in_table_order = order.tolist() == list(range(self.num_tasks))

    def forward(self, features_BF: Tensor) -> Tensor:
        priors_BP = self.prior_heads(features_BF) if self.prior_heads is not None else features_BF[:, :0]
        targets_BT = self._predict_targets(features_BF, self._propagate(priors_BP))
        outputs_BK = torch.cat([priors_BP, targets_BT], dim=1)
        return outputs_BK if self._is_in_table_order else outputs_BK.index_select(1, cast(Tensor, self._table_order_K))

    def _propagate(self, priors_BP: Tensor) -> Tensor:
        if self.propagation == "none":
            return priors_BP[:, :0]
        if self.propagation == "detached":
            priors_BP = priors_BP.detach()
        if self._has_probability:
            priors_BP = torch.where(cast(Tensor, self._as_probability_P), priors_BP.sigmoid(), priors_BP)
        return priors_BP

    def _predict_targets(self, features_BF: Tensor, priors_BP: Tensor) -> Tensor:
        gates_BTE = self.gates(torch.cat([features_BF, priors_BP], dim=1)).unflatten(1, (-1, self.num_experts))
        gates_BTE = gates_BTE.softmax(dim=2)
        outs_EBH = self.experts(features_BF, priors_BP)
        # w · (sum_e g_e o_e) = sum_e g_e (w · o_e): what is mixed are predictions, and no (B, T, H) tensor is formed.
        predicted_EBT = outs_EBH @ self.target_heads.weight.T
        return (gates_BTE * predicted_EBT.permute(1, 2, 0)).sum(dim=2) + self.target_heads.bias


class Experts(nn.Module):
    """All experts at once: features (B, F) and propagated priors (B, P) to (E, B, H). P may be 0."""

    def __init__(self, num_features: int, num_priors: int, num_experts: int, hidden_width: int) -> None:
        super().__init__()
        self.num_experts = num_experts
        self.image = BatchedLinear(num_experts, num_features, hidden_width)
        self.attention = nn.Linear(num_priors, num_experts * num_priors) if num_priors else None
        self.prior = BatchedLinear(num_experts, num_priors, 2 * num_priors) if num_priors else None
        self.out = BatchedLinear(num_experts, hidden_width + 2 * num_priors, hidden_width)

    def forward(self, features_BF: Tensor, priors_BP: Tensor) -> Tensor:
        images_EBH = self.image(features_BF.expand(self.num_experts, -1, -1)).relu_()
        if self.attention is None or self.prior is None:
            return self.out(images_EBH).relu_()
        attention_EBP = self.attention(priors_BP).unflatten(1, (self.num_experts, -1)).softmax(dim=2).transpose(0, 1)
        read_EBR = self.prior(attention_EBP * priors_BP).relu_()
        return self.out(torch.cat([images_EBH, read_EBR], dim=2)).relu_()


class BatchedLinear(nn.Module):
    """E linear layers side by side: (E, B, in) to (E, B, out)."""

    def __init__(self, num_experts: int, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(num_inputs)  # nn.Linear's, which knows nothing of its neighbours
        self.weight = nn.Parameter(torch.empty(num_experts, num_inputs, num_outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(num_experts, 1, num_outputs).uniform_(-bound, bound))

    def forward(self, inputs_EBI: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, inputs_EBI, self.weight)
