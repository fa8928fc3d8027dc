"""The loop that the head is timed against computes the same."""

import pytest
import torch

from benchmarks.sepl_head import NUM_FEATURES, NUM_TASKS, _build_head
from benchmarks.support.sepl_loop import PlainLoop


@pytest.mark.parametrize("once", [True, False])
def test_the_plain_loop_computes_what_the_head_computes(once: bool) -> None:
    head = _build_head(num_experts=2)
    features_BF = torch.randn(3, NUM_FEATURES, requires_grad=True)
    weights_BK = torch.randn(3, NUM_TASKS)

    outputs = [network(features_BF) for network in (head, PlainLoop.like(head, once=once))]
    gradients = [torch.autograd.grad((outputs_BK * weights_BK).sum(), features_BF)[0] for outputs_BK in outputs]

    torch.testing.assert_close(outputs[0], outputs[1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-5, rtol=1e-5)
