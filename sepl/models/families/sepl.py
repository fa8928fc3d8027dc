"""The head of SePL: simple factors are predicted first and propagated to the harder ones.

Ko, Yang, Bum, Le, Choo: MICCAI 2025, LNCS 15974, doi 10.1007/978-3-032-05182-0_55, as the released code has it
(github.com/shko0215/SePL, b9c7ffd), for any number of features, priors, targets and experts:

    p     = W z + b                                   priors, from the image features z
    g_t   = softmax(W_t [z; p] + b_t)                 a gate per target, over the experts
    h_e   = relu(U_e z + c_e)                         expert e: its image part,
    r_e   = relu(V_e (p * softmax(A_e p + a_e)) + d_e)        its part of the priors it attends to, twice as wide,
    o_e   = relu(O_e [h_e; r_e] + q_e)                        and what it says
    y_t   = w_t · (sum_e g_te o_e) + b_t              targets

Each of its ideas can be taken away, to see what it is worth:

    propagation       predicted: p · detached: p without gradient · none: no p, r_e in gates and experts
                      oracle: the true priors in p's place · shuffled: those of somebody else
    gate_inputs       image+prior: [z; p] · image: z · prior: p · uniform: g_t = 1 / E
    prior_attention   off: p in place of p * softmax(A_e p + a_e)
    gate_top_k        the k strongest gates of a target, and load_balance: see `sepl.models.parts.gates`
    one stage         no task is a prior here (`num_stages` of the config)

A head that `takes_known` is told the priors that are known of a photograph, some or none: true ones stand in p's place,
the others are predicted. It is trained with some drawn (`known_share` of the config), as RandInt of Espinosa Zarlenga
et al., Concept Embedding Models, NeurIPS 2022, arXiv 2209.09056, but for each photograph and prior; the prior heads
learn as ever.

Oracle and shuffled take true priors as an input, in evaluation as in training. Oracle is an upper bound of what better
priors could bring, shuffled a control: the same inputs and parameters, without what they tell. Neither is a model of
photographs, and neither is published. Where a true prior is absent its training median takes its place, 0 in scaled
units; a binary one enters as 0 or 1, or as a logit of ∓ 4, absent as ½ or 0; graded ones do so output by output
(`sepl.models.parts.priors`).

A task of several outputs (the steps of a grade, the classes) has that many rows of W or w, and as a target one gate.

Axes: B photograph, F feature, P output of a prior, R = 2 P, E expert, H hidden, T target, Y output of a target, K task
(priors and targets), O output (of both).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sepl.config import BinaryPrior, GateInputs, Propagation
from sepl.errors import ConfigError
from sepl.models.parts.fusion import Fusion
from sepl.models.parts.gates import LoadBalance, open_gates
from sepl.models.parts.linear import BatchedLinear
from sepl.models.parts.outputs import PerOutput
from sepl.models.parts.priors import Priors
from sepl.models.parts.trunk import TrunkNetwork
from sepl.tasks import TaskKind


class SeplHead(nn.Module):
    """Features (B, F) to outputs (B, O) in the order of the task table.

    `kinds`, `num_outputs` (one each by default) and `is_prior` say of each task, in the table's order, what it is.
    Outputs are scaled values, and logits for tasks of other kinds than regression. All experts, gates and heads are a
    few batched matrix products.

    Every layer starts as PyTorch starts an `nn.Linear` of its own: uniform within 1 / sqrt(inputs).
    """

    def __init__(
        self,
        num_features: int,
        *,
        kinds: Sequence[TaskKind],
        is_prior: Sequence[bool],
        num_experts: int,
        hidden_width: int,
        propagation: Propagation,
        binary_prior: BinaryPrior,
        gate_inputs: GateInputs = "image+prior",
        prior_attention: bool = True,
        gate_top_k: int = 0,
        load_balance: float = 0.0,
        num_outputs: Sequence[int] | None = None,
        takes_known: bool = False,
    ) -> None:
        super().__init__()
        assert len(kinds) == len(is_prior), "one kind and one flag a task"
        counts = [1] * len(kinds) if num_outputs is None else list(num_outputs)
        priors = [k for k, prior in enumerate(is_prior) if prior]
        targets = [k for k, prior in enumerate(is_prior) if not prior]
        self.num_tasks = len(is_prior)
        self.num_experts = num_experts
        self.propagation = propagation
        self.takes_known = takes_known
        self.gate_top_k = gate_top_k
        self._gates_see_image = gate_inputs in ("image", "image+prior")
        self._gates_see_priors = gate_inputs in ("prior", "image+prior")
        self.priors = Priors(kinds, counts, is_prior, binary_prior)
        num_propagated = 0 if propagation == "none" else self.priors.num_outputs
        num_gate_inputs = num_features * self._gates_see_image + num_propagated * self._gates_see_priors
        if num_gate_inputs == 0 and gate_inputs != "uniform":
            raise ConfigError(f"gate_inputs should be 'uniform' or 'image' without priors, was {gate_inputs!r}")

        self.prior_heads = nn.Linear(num_features, self.priors.num_outputs) if priors else None
        self.gates = nn.Linear(num_gate_inputs, len(targets) * num_experts) if num_gate_inputs else None
        self.experts = Experts(num_features, num_propagated, num_experts, hidden_width, prior_attention)
        self.target_outputs = PerOutput(len(targets), [counts[k] for k in targets])
        self.target_heads = nn.Linear(hidden_width, self.target_outputs.total)
        self.balance = LoadBalance(load_balance)

        columns = torch.arange(sum(counts)).split(counts)
        order = torch.cat([columns[k] for k in priors + targets]).argsort()
        self._table_order_O: Tensor
        self.register_buffer("_table_order_O", order, persistent=False)
        self._is_in_table_order = order.tolist() == list(range(len(order)))

    def forward(
        self, features_BF: Tensor, labels_BK: Tensor | None = None, penalties: list[Tensor] | None = None
    ) -> Tensor:
        """`labels_BK`, scaled and NaN where absent, are read by oracle and shuffled, which fail without, and by a head
        that takes known values. The balance of the experts is added to `penalties`."""
        priors_BP = self.prior_heads(features_BF) if self.prior_heads is not None else features_BF[:, :0]
        targets_BY = self._predict_targets(features_BF, self._propagate(priors_BP, labels_BK), penalties)
        outputs_BO = torch.cat([priors_BP, targets_BY], dim=1)
        return outputs_BO if self._is_in_table_order else outputs_BO.index_select(1, self._table_order_O)

    def _propagate(self, priors_BP: Tensor, labels_BK: Tensor | None) -> Tensor:
        if self.propagation == "none":
            return priors_BP[:, :0]
        if self.propagation in ("oracle", "shuffled"):
            return self._true_priors(priors_BP, labels_BK)
        handed_BP = self.priors(priors_BP.detach() if self.propagation == "detached" else priors_BP)
        if self.takes_known and labels_BK is not None:
            true_BP = self._true_priors(priors_BP, labels_BK)
            handed_BP = torch.where(self.priors.is_known(labels_BK), true_BP, handed_BP)
        return handed_BP

    def _true_priors(self, priors_BP: Tensor, labels_BK: Tensor | None) -> Tensor:
        if labels_BK is None:
            raise ConfigError(
                f"propagation {self.propagation!r} should be given true priors, which a photograph to score has not"
            )
        return self.priors.true(labels_BK, priors_BP.dtype)

    def _predict_targets(self, features_BF: Tensor, priors_BP: Tensor, penalties: list[Tensor] | None) -> Tensor:
        gates_BTE = self._open_gates(self.gates, features_BF, priors_BP) if self.gates is not None else None
        if gates_BTE is not None:
            self.balance.charge(gates_BTE, penalties)
        outs_EBH = self.experts(features_BF, priors_BP)
        # w · (sum_e g_e o_e) = sum_e g_e (w · o_e): what is mixed are predictions, and no (B, T, H) tensor is formed.
        predicted_EBY = outs_EBH @ self.target_heads.weight.T
        if gates_BTE is None:
            return predicted_EBY.mean(dim=0) + self.target_heads.bias
        gates_BYE = self.target_outputs(gates_BTE, dim=1)
        return (gates_BYE * predicted_EBY.permute(1, 2, 0)).sum(dim=2) + self.target_heads.bias

    def _open_gates(self, gates: nn.Linear, features_BF: Tensor, priors_BP: Tensor) -> Tensor:
        seen = [features_BF] * self._gates_see_image + [priors_BP] * self._gates_see_priors
        scores_BTE = gates(torch.cat(seen, dim=1)).unflatten(1, (-1, self.num_experts))
        return open_gates(scores_BTE, self.gate_top_k)


class SeplNetwork(TrunkNetwork):
    """A backbone and SePL's head."""

    def __init__(self, backbone: nn.Module, head: SeplHead, fusion: Fusion | None = None) -> None:
        super().__init__(backbone, head, head.num_tasks, fusion)
        self.needs_labels = head.propagation in ("oracle", "shuffled")
        self.takes_known = head.takes_known


class Experts(nn.Module):
    """All experts at once: features (B, F) and propagated priors (B, P) to (E, B, H). P may be 0."""

    def __init__(
        self, num_features: int, num_priors: int, num_experts: int, hidden_width: int, prior_attention: bool
    ) -> None:
        super().__init__()
        self.num_experts = num_experts
        self.image = BatchedLinear(num_experts, num_features, hidden_width)
        has_attention = prior_attention and num_priors > 0
        self.attention = nn.Linear(num_priors, num_experts * num_priors) if has_attention else None
        self.prior = BatchedLinear(num_experts, num_priors, 2 * num_priors) if num_priors else None
        self.out = BatchedLinear(num_experts, hidden_width + 2 * num_priors, hidden_width)

    def forward(self, features_BF: Tensor, priors_BP: Tensor) -> Tensor:
        images_EBH = self.image(features_BF.expand(self.num_experts, -1, -1)).relu_()
        if self.prior is None:
            return self.out(images_EBH).relu_()
        read_EBR = self.prior(self._attend(priors_BP)).relu_()
        return self.out(torch.cat([images_EBH, read_EBR], dim=2)).relu_()

    def _attend(self, priors_BP: Tensor) -> Tensor:
        """(E, B, P), what each expert takes of the priors."""
        if self.attention is None:
            return priors_BP.expand(self.num_experts, -1, -1)
        attention_EBP = self.attention(priors_BP).unflatten(1, (self.num_experts, -1)).softmax(dim=2).transpose(0, 1)
        return attention_EBP * priors_BP
