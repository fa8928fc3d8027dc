"""The optimiser of many heads is torch's, a head at a time."""

import torch
from torch import nn

from sepl.training.probe.stacked import HeadStack, StackedAdamW


def test_a_step_of_all_heads_is_a_step_of_torchs_adamw_for_each() -> None:
    torch.manual_seed(0)
    rates, decay = [1e-2, 1e-3], [0.0, 0.5]
    head = nn.Linear(3, 2)
    stack = HeadStack(head, 2)
    ours = StackedAdamW(stack, rates, decay)
    alone = [(nn.Parameter(head.weight.detach().clone()), nn.Parameter(head.bias.detach().clone())) for _ in rates]
    theirs = [
        torch.optim.AdamW([{"params": [w], "weight_decay": pull}, {"params": [b], "weight_decay": 0.0}], lr=rate)
        for (w, b), rate, pull in zip(alone, rates, decay, strict=True)
    ]

    for _ in range(5):
        gradients = [torch.randn(2, 2, 3), torch.randn(2, 2)]
        ours.step(gradients, 1.0)
        for place, ((w, b), optimiser) in enumerate(zip(alone, theirs, strict=True)):
            w.grad, b.grad = gradients[0][place], gradients[1][place]
            optimiser.step()

    torch.testing.assert_close(stack.parameters["weight"].detach(), torch.stack([w.detach() for w, _ in alone]))
    torch.testing.assert_close(stack.parameters["bias"].detach(), torch.stack([b.detach() for _, b in alone]))


def test_every_copy_begins_as_the_head_and_says_what_it_says() -> None:
    head = nn.Linear(3, 2)
    stack = HeadStack(head, 4)

    outputs_CBO, penalties_C = stack.outputs(torch.ones(5, 3))

    assert all(torch.equal(tensor[3], head.state_dict()[name]) for name, tensor in stack.state().items())
    torch.testing.assert_close(outputs_CBO[3], head(torch.ones(5, 3)))
    assert penalties_C.tolist() == [0.0] * 4
    assert stack.exempt == {"bias"}
