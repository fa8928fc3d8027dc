"""Heads against their equations, one photograph, task and expert at a time."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sepl.models.families.cgc import CgcHead, Extraction
from sepl.models.families.ctan import CrossTaskLayer, CtanHead
from sepl.models.families.mmoe import MmoeHead
from sepl.models.families.mtan import HandOn, StageMask
from sepl.models.parts.fusion import AttentionFusion, MeanFusion, PhotographSets
from sepl.models.parts.gates import LoadBalance, open_gates
from sepl.models.parts.linear import BatchedLinear

sizes = st.integers(1, 5)


def apply(layer: BatchedLinear, e: int, inputs_I: Tensor) -> Tensor:
    return inputs_I @ layer.weight[e] + layer.bias[e, 0]


def total(tensors: list[Tensor]) -> Tensor:
    return torch.stack(tensors).sum(dim=0)


def assert_same(found: Tensor, plain: list[Tensor]) -> None:
    torch.testing.assert_close(found, torch.stack(plain), atol=1e-5, rtol=1e-4)


@given(sizes, sizes, sizes, sizes)
def test_mmoe(num_features: int, num_tasks: int, num_experts: int, width: int) -> None:
    head = MmoeHead(num_features, num_tasks, num_experts=num_experts, hidden_width=width)
    features_BF = torch.randn(3, num_features)

    def plain(z_F: Tensor) -> Tensor:
        said = [apply(head.experts, e, z_F).relu() for e in range(num_experts)]
        gates_TE = head.gates(z_F).view(num_tasks, num_experts).softmax(dim=1)
        mixed = [total([gates_TE[t, e] * said[e] for e in range(num_experts)]) for t in range(num_tasks)]
        return torch.stack([head.task_heads.weight[t] @ mixed[t] + head.task_heads.bias[t] for t in range(num_tasks)])

    assert_same(head(features_BF), [plain(z_F) for z_F in features_BF])


@given(sizes, sizes, sizes, sizes, sizes, st.integers(1, 3))
def test_cgc_and_ple(
    num_features: int, num_tasks: int, num_experts: int, num_own: int, width: int, num_levels: int
) -> None:
    head = CgcHead(
        num_features,
        num_tasks,
        num_experts=num_experts,
        num_task_experts=num_own,
        hidden_width=width,
        num_levels=num_levels,
    )
    features_BF = torch.randn(2, num_features)

    def extract(level: Extraction, x: list[Tensor], shared_F: Tensor) -> tuple[list[Tensor], Tensor]:
        own = [
            [apply(level.task_experts, t * num_own + m, x[t]).relu() for m in range(num_own)] for t in range(num_tasks)
        ]
        common = [apply(level.shared_experts, e, shared_F).relu() for e in range(num_experts)]
        mixed = []
        for t in range(num_tasks):
            gates = apply(level.task_gates, t, x[t]).softmax(dim=0)
            mixed.append(total([gate * said for gate, said in zip(gates, own[t] + common, strict=True)]))
        if level.shared_gate is None or level.shared_gate_own is None:
            return mixed, shared_F
        gates = torch.cat([level.shared_gate_own(shared_F), level.shared_gate(shared_F)]).softmax(dim=0)
        everyone = [said for of_task in own for said in of_task] + common
        return mixed, total([gate * said for gate, said in zip(gates, everyone, strict=True)])

    def plain(z_F: Tensor) -> Tensor:
        x, shared_F = [z_F] * num_tasks, z_F
        for level in head.levels:
            assert isinstance(level, Extraction)
            x, shared_F = extract(level, x, shared_F)
        return torch.stack([head.task_heads.weight[t] @ x[t] + head.task_heads.bias[t] for t in range(num_tasks)])

    assert_same(head(features_BF), [plain(z_F) for z_F in features_BF])


@given(sizes, sizes, st.integers(1, 3), st.integers(1, 3), st.integers(1, 2))
def test_ctan(num_features: int, num_tasks: int, num_heads: int, head_width: int, num_layers: int) -> None:
    width = num_heads * head_width
    head = CtanHead(num_features, num_tasks, hidden_width=width, num_layers=num_layers, num_attention_heads=num_heads)
    features_BF = torch.randn(2, num_features)

    def attend(layer: CrossTaskLayer, tokens: list[Tensor]) -> list[Tensor]:
        queries = [apply(layer.query, t, token) for t, token in enumerate(tokens)]
        keys_values = [apply(layer.key_value, t, token) for t, token in enumerate(tokens)]
        keys, values = [both[:width] for both in keys_values], [both[width:] for both in keys_values]
        heard = []
        for query in queries:
            of_heads = []
            for n in range(num_heads):
                part = slice(n * head_width, (n + 1) * head_width)
                scores = torch.stack([query[part] @ key[part] for key in keys]) / head_width**0.5
                of_heads.append(total([s * value[part] for s, value in zip(scores.softmax(0), values, strict=True)]))
            heard.append(torch.cat(of_heads))
        return [layer.norm(token + apply(layer.project, t, heard[t])) for t, token in enumerate(tokens)]

    def plain(z_F: Tensor) -> Tensor:
        tokens = [apply(head.embed, t, z_F) for t in range(num_tasks)]
        for layer in head.layers:
            assert isinstance(layer, CrossTaskLayer)
            tokens = attend(layer, tokens)
        return torch.stack([head.task_heads.weight[t] @ tokens[t] + head.task_heads.bias[t] for t in range(num_tasks)])

    assert_same(head(features_BF), [plain(z_F) for z_F in features_BF])


def test_mtan_masks_are_a_task_each() -> None:
    num_tasks, width, size = 3, 8, 5
    mask, map_BChw = StageMask(num_tasks, width, 6), torch.randn(2, width, size, size)
    handed_on_BTChw = torch.randn(2, num_tasks, 6, size, size)
    assert mask.recall is not None
    assert mask.look.bias is not None
    assert mask.recall.bias is not None
    assert mask.mask.bias is not None
    reduced = mask.mask.in_channels // num_tasks

    seen_BTChw = mask(map_BChw, handed_on_BTChw)

    for t in range(num_tasks):
        rows, out = slice(t * reduced, (t + 1) * reduced), slice(t * width, (t + 1) * width)
        weight = torch.cat([mask.look.weight[rows], mask.recall.weight[rows]], dim=1)  # of [p; d]
        joined_BChw = torch.cat([map_BChw, handed_on_BTChw[:, t]], dim=1)
        hidden = torch.conv2d(joined_BChw, weight, mask.look.bias[rows] + mask.recall.bias[rows])
        hidden = torch.nn.functional.group_norm(hidden, 1, mask.norm.weight[rows], mask.norm.bias[rows]).relu()
        expected = torch.conv2d(hidden, mask.mask.weight[out], mask.mask.bias[out]).sigmoid() * map_BChw
        torch.testing.assert_close(seen_BTChw[:, t], expected, atol=1e-5, rtol=1e-4)


def test_what_a_task_saw_is_handed_on_at_the_next_size() -> None:
    hand_on, seen_BTChw = HandOn(4, 6), torch.randn(2, 3, 4, 8, 8)

    handed_on = hand_on(seen_BTChw, torch.Size([4, 4]))

    pooled = torch.nn.functional.max_pool2d(seen_BTChw[:, 1], 2)
    torch.testing.assert_close(handed_on[:, 1], hand_on.norm(hand_on.convolve(pooled)).relu(), atol=1e-5, rtol=1e-4)
    assert handed_on.shape == (2, 3, 6, 4, 4)


@given(st.integers(1, 6), st.data())
def test_open_gates_are_a_softmax_over_the_strongest(num_experts: int, data: st.DataObject) -> None:
    top_k = data.draw(st.integers(1, num_experts))
    scores_BTE = torch.randn(3, 2, num_experts)

    gates_BTE = open_gates(scores_BTE, top_k)

    threshold_BT1 = scores_BTE.topk(top_k, dim=2).values[..., -1:]
    expected_BTE = scores_BTE.masked_fill(scores_BTE < threshold_BT1, -torch.inf).softmax(dim=2)
    torch.testing.assert_close(gates_BTE, expected_BTE)


def test_balance_is_the_squared_coefficient_of_variation_of_what_experts_get() -> None:
    gates_BTE, balance = torch.rand(5, 3, 4).softmax(dim=2), LoadBalance(0.1)

    loss = balance(gates_BTE)

    importance_TE = gates_BTE.sum(dim=0)
    variation_T = importance_TE.var(dim=1, unbiased=False) / importance_TE.mean(dim=1) ** 2
    torch.testing.assert_close(loss, 0.1 * variation_T.mean(), atol=1e-6, rtol=1e-4)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=9), st.booleans(), st.integers(0, 2**16))
def test_fusion_is_a_weighted_mean_over_each_patients_photographs(
    patients: list[int], by_task: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    numbers = sorted(set(patients))
    patient_B = torch.tensor([numbers.index(patient) for patient in patients])
    features = torch.randn(len(patients), *([2] if by_task else []), 5)
    attention, sets = AttentionFusion(5), PhotographSets(patient_B, len(numbers))

    as_mean, mean = attention(features, sets), MeanFusion()(features, sets)
    torch.nn.init.normal_(attention.score.weight)
    attended = attention(features, sets)

    scores = attention.score(attention.content(features).tanh() * attention.gate(features).sigmoid())
    of = [patient_B == p for p in range(len(numbers))]
    assert_same(mean, [features[rows].mean(dim=0) for rows in of])
    assert_same(as_mean, [features[rows].mean(dim=0) for rows in of])
    assert_same(attended, [(scores[rows].softmax(dim=0) * features[rows]).sum(dim=0) for rows in of])
    torch.testing.assert_close(sets.first(features), torch.stack([features[rows][0] for rows in of]))


def test_attention_survives_scores_that_would_overflow() -> None:
    sets = PhotographSets(torch.tensor([0, 1, 0]), 2)

    weights_B1 = sets.softmax(torch.tensor([[1e4], [-1e4], [1e4 - 1]]))

    assert weights_B1[:, 0].tolist() == pytest.approx([0.7310586, 1.0, 0.2689414])
