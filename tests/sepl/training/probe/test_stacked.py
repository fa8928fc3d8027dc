"""The optimiser of many rows is torch's, a row at a time."""

import pytest
import torch
from torch import nn

from sepl.training.probe.stacked import HeadStack, StackedAdamW


def test_a_step_of_all_rows_is_a_step_of_torchs_adamw_for_each() -> None:
    torch.manual_seed(0)
    rates, decay = [1e-2, 1e-3], [0.0, 0.5]
    start_CD, decays_D = torch.randn(2, 6), torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    stacked_CD = start_CD.clone()
    ours = StackedAdamW(stacked_CD, decays_D, rates, decay)
    rows = [(nn.Parameter(row[:4].clone()), nn.Parameter(row[4:].clone())) for row in start_CD]
    theirs = [
        torch.optim.AdamW([{"params": [w], "weight_decay": pull}, {"params": [b], "weight_decay": 0.0}], lr=rate)
        for (w, b), rate, pull in zip(rows, rates, decay, strict=True)
    ]

    for _ in range(5):
        gradient_CD = torch.randn(2, 6)
        ours.step(gradient_CD, 1.0)
        for (w, b), optimiser, gradient_D in zip(rows, theirs, gradient_CD, strict=True):
            w.grad, b.grad = gradient_D[:4], gradient_D[4:]
            optimiser.step()

    torch.testing.assert_close(stacked_CD, torch.stack([torch.cat([w, b]).detach() for w, b in rows]))


def test_many_rows_move_as_few_do(monkeypatch: pytest.MonkeyPatch) -> None:
    start_CD, gradient_CD = torch.randn(5, 4), torch.randn(5, 4)
    whole, in_parts = start_CD.clone(), start_CD.clone()

    StackedAdamW(whole, torch.ones(4), [1e-2] * 5, [0.1] * 5).step(gradient_CD, 0.5)
    monkeypatch.setattr("sepl.training.probe.stacked._BLOCK", 8)
    StackedAdamW(in_parts, torch.ones(4), [1e-2] * 5, [0.1] * 5).step(gradient_CD, 0.5)

    assert torch.equal(whole, in_parts)


def test_a_row_is_the_heads_state() -> None:
    head = nn.Linear(3, 2)
    stack = HeadStack(head, 4)

    state = stack.state(stack.flat_CD.detach()[2])

    assert {name: tensor.tolist() for name, tensor in state.items()} == {
        name: tensor.tolist() for name, tensor in head.state_dict().items()
    }
    outputs_CBO, penalties_C = stack.outputs(torch.ones(5, 3))
    torch.testing.assert_close(outputs_CBO[3], head(torch.ones(5, 3)))
    assert penalties_C.tolist() == [0.0] * 4
