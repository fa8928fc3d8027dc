"""SePL's equations one photograph, task and expert at a time, reading the parameters of a batched head."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sepl.config import BinaryPrior, GateInputs, Propagation
from sepl.models.families.sepl import SeplHead
from sepl.models.parts.linear import BatchedLinear
from sepl.tasks import TaskKind


@dataclass(frozen=True)
class Case:
    kinds: list[TaskKind]
    is_prior: list[bool]
    num_features: int
    num_experts: int
    hidden_width: int
    propagation: Propagation
    binary_prior: BinaryPrior
    gate_inputs: GateInputs = "image+prior"
    prior_attention: bool = True
    gate_top_k: int = 0
    takes_known: bool = False
    num_outputs: list[int] = field(default_factory=list)
    """One each where empty."""

    @property
    def counts(self) -> list[int]:
        return self.num_outputs or [1] * len(self.kinds)

    @property
    def columns(self) -> list[range]:
        """Of each task, where its outputs are."""
        starts = [sum(self.counts[:k]) for k in range(len(self.counts))]
        return [range(start, start + count) for start, count in zip(starts, self.counts, strict=True)]

    def build(self) -> SeplHead:
        return SeplHead(
            self.num_features,
            kinds=self.kinds,
            num_outputs=self.num_outputs or None,
            is_prior=self.is_prior,
            num_experts=self.num_experts,
            hidden_width=self.hidden_width,
            propagation=self.propagation,
            binary_prior=self.binary_prior,
            gate_inputs=self.gate_inputs,
            prior_attention=self.prior_attention,
            gate_top_k=self.gate_top_k,
            takes_known=self.takes_known,
        )


def plain_loop(network: SeplHead, case: Case, features_BF: Tensor, labels_BK: Tensor) -> Tensor:
    """The equations one photograph, task and expert at a time, reading the head's own parameters."""
    rows = zip(features_BF, labels_BK, strict=True)
    return torch.stack([torch.stack(_plain_photograph(network, case, z_F, y_K)) for z_F, y_K in rows])


def _plain_photograph(network: SeplHead, case: Case, z_F: Tensor, y_K: Tensor) -> list[Tensor]:
    prior_of, target_of = places(case.is_prior)
    outputs: dict[int, list[Tensor]] = {}
    prior_rows, target_rows = iter(range(1000)), iter(range(1000))
    for k in prior_of:
        assert network.prior_heads is not None
        rows = [next(prior_rows) for _ in range(case.counts[k])]
        outputs[k] = [network.prior_heads.weight[i] @ z_F + network.prior_heads.bias[i] for i in rows]
    propagated = [value for k in prior_of for value in _plain_prior(case, k, outputs[k], y_K[k])]
    p_P = torch.stack(propagated) if propagated and case.propagation != "none" else z_F[:0]
    said = [_plain_expert(network, case, e, z_F, p_P) for e in range(case.num_experts)]
    for k, t in target_of.items():
        gate = _plain_gate(network, case, t, z_F, p_P)
        mixed_H = sum((gate[e] * said[e] for e in range(case.num_experts)), start=torch.zeros(case.hidden_width))
        rows = [next(target_rows) for _ in range(case.counts[k])]
        outputs[k] = [network.target_heads.weight[row] @ mixed_H + network.target_heads.bias[row] for row in rows]
    return [output for k in range(len(case.is_prior)) for output in outputs[k]]


def places(is_prior: Sequence[bool]) -> tuple[dict[int, int], dict[int, int]]:
    priors = [k for k, prior in enumerate(is_prior) if prior]
    targets = [k for k, prior in enumerate(is_prior) if not prior]
    return {k: i for i, k in enumerate(priors)}, {k: i for i, k in enumerate(targets)}


def _plain_gate(network: SeplHead, case: Case, t: int, z_F: Tensor, p_P: Tensor) -> list[Tensor]:
    if case.gate_inputs == "uniform":
        return [torch.tensor(1 / case.num_experts)] * case.num_experts
    assert network.gates is not None
    seen = {"image": z_F, "prior": p_P, "image+prior": torch.cat([z_F, p_P])}[case.gate_inputs]
    rows = slice(t * case.num_experts, (t + 1) * case.num_experts)
    scores = list(network.gates.weight[rows] @ seen + network.gates.bias[rows])
    kept = sorted(range(case.num_experts), key=lambda e: -scores[e].item())[: case.gate_top_k or None]
    total = torch.stack([scores[e].exp() for e in kept]).sum()
    return [scores[e].exp() / total if e in kept else torch.tensor(0.0) for e in range(case.num_experts)]


def _plain_prior(case: Case, k: int, outputs: list[Tensor], label: Tensor) -> list[Tensor]:
    if case.propagation in ("oracle", "shuffled") or (case.takes_known and not math.isnan(float(label))):
        return [torch.tensor(_plain_truth(case, k, place, float(label))) for place in range(case.counts[k])]
    values = [output.detach() for output in outputs] if case.propagation == "detached" else outputs
    if case.kinds[k] == "regression" or case.binary_prior == "logit":
        return values
    if case.kinds[k] == "categorical":
        total = sum((value.exp() for value in values), start=torch.tensor(0.0))
        return [value.exp() / total for value in values]
    return [value.sigmoid() for value in values]


def _plain_truth(case: Case, k: int, place: int, label: float) -> float:
    kind = case.kinds[k]
    if kind == "regression":
        return 0.0 if math.isnan(label) else label
    if math.isnan(label):
        unknown = 1 / case.counts[k] if kind == "categorical" else 0.5
        return unknown if case.binary_prior == "probability" else 0.0
    share = {"binary": label, "ordinal": float(label > place), "categorical": float(label == place)}[kind]
    return share if case.binary_prior == "probability" else 4.0 if share else -4.0


def _plain_expert(network: SeplHead, case: Case, e: int, z_F: Tensor, p_P: Tensor) -> Tensor:
    experts = network.experts
    heard_H = _apply(experts.image, e, z_F).relu()
    if experts.prior is not None:
        attended_P = p_P
        if case.prior_attention:
            assert experts.attention is not None
            rows = slice(e * len(p_P), (e + 1) * len(p_P))
            attended_P = p_P * (experts.attention.weight[rows] @ p_P + experts.attention.bias[rows]).softmax(dim=0)
        heard_H = torch.cat([heard_H, _apply(experts.prior, e, attended_P).relu()])
    return _apply(experts.out, e, heard_H).relu()


def _apply(layer: BatchedLinear, e: int, inputs_I: Tensor) -> Tensor:
    return inputs_I @ layer.weight[e] + layer.bias[e, 0]
