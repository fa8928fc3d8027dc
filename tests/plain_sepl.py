"""SePL's equations one photograph, task and expert at a time, reading the parameters of a batched head."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sepl.config import BinaryPrior, Propagation
from sepl.models.sepl import BatchedLinear, SeplHead


@dataclass(frozen=True)
class Case:
    is_binary: list[bool]
    is_prior: list[bool]
    num_features: int
    num_experts: int
    hidden_width: int
    propagation: Propagation
    binary_prior: BinaryPrior

    def build(self) -> SeplHead:
        return SeplHead(
            self.num_features,
            is_binary=self.is_binary,
            is_prior=self.is_prior,
            num_experts=self.num_experts,
            hidden_width=self.hidden_width,
            propagation=self.propagation,
            binary_prior=self.binary_prior,
        )


def plain_loop(network: SeplHead, case: Case, features_BF: Tensor) -> Tensor:
    """The equations one photograph, task and expert at a time, reading the head's own parameters."""
    return torch.stack([torch.stack(_plain_photograph(network, case, z_F)) for z_F in features_BF])


def _plain_photograph(network: SeplHead, case: Case, z_F: Tensor) -> list[Tensor]:
    prior_of, target_of = places(case.is_prior)
    outputs: dict[int, Tensor] = {}
    for k, i in prior_of.items():
        assert network.prior_heads is not None
        outputs[k] = network.prior_heads.weight[i] @ z_F + network.prior_heads.bias[i]
    propagated = [] if case.propagation == "none" else [_plain_prior(case, k, outputs[k]) for k in prior_of]
    p_P = torch.stack(propagated) if propagated else z_F[:0]
    said = [_plain_expert(network, e, z_F, p_P) for e in range(case.num_experts)]
    for k, t in target_of.items():
        rows = slice(t * case.num_experts, (t + 1) * case.num_experts)
        gate_E = (network.gates.weight[rows] @ torch.cat([z_F, p_P]) + network.gates.bias[rows]).softmax(dim=0)
        mixed_H = sum((gate_E[e] * said[e] for e in range(case.num_experts)), start=torch.zeros(case.hidden_width))
        outputs[k] = network.target_heads.weight[t] @ mixed_H + network.target_heads.bias[t]
    return [outputs[k] for k in range(len(case.is_prior))]


def places(is_prior: Sequence[bool]) -> tuple[dict[int, int], dict[int, int]]:
    priors = [k for k, prior in enumerate(is_prior) if prior]
    targets = [k for k, prior in enumerate(is_prior) if not prior]
    return {k: i for i, k in enumerate(priors)}, {k: i for i, k in enumerate(targets)}


def _plain_prior(case: Case, k: int, output: Tensor) -> Tensor:
    value = output.detach() if case.propagation == "detached" else output
    return value.sigmoid() if case.is_binary[k] and case.binary_prior == "probability" else value


def _plain_expert(network: SeplHead, e: int, z_F: Tensor, p_P: Tensor) -> Tensor:
    experts = network.experts
    heard_H = _apply(experts.image, e, z_F).relu()
    if experts.attention is not None and experts.prior is not None:
        rows = slice(e * len(p_P), (e + 1) * len(p_P))
        attention_P = (experts.attention.weight[rows] @ p_P + experts.attention.bias[rows]).softmax(dim=0)
        heard_H = torch.cat([heard_H, _apply(experts.prior, e, p_P * attention_P).relu()])
    return _apply(experts.out, e, heard_H).relu()


def _apply(layer: BatchedLinear, e: int, inputs_I: Tensor) -> Tensor:
    return inputs_I @ layer.weight[e] + layer.bias[e, 0]
