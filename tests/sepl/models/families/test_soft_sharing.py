"""The penalty is λ times the squared distances of every two backbones, and heads are free."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sepl.models.families.soft_sharing import SoftSharingNetwork


def soft_sharing(num_tasks: int, strength: float) -> SoftSharingNetwork:
    return SoftSharingNetwork(nn.Sequential(nn.Flatten(), nn.Linear(12, 4)), 4, num_tasks, strength)


def scatter(network: SoftSharingNetwork) -> None:
    """Moves every backbone away from the others."""
    for parameter in network.backbones.parameters():
        nn.init.normal_(parameter)


@given(num_tasks=st.integers(1, 6), strength=st.floats(0.0, 10.0))
def test_the_penalty_is_the_sum_over_pairs(num_tasks: int, strength: float) -> None:
    network = soft_sharing(num_tasks, strength)
    scatter(network)

    flat = [torch.cat([parameter.flatten() for parameter in each.parameters()]) for each in network.backbones]
    pairs = [(one - other).square().sum() for one, other in itertools.combinations(flat, 2)]
    expected = strength * torch.stack(pairs).sum() if pairs else torch.tensor(0.0)

    torch.testing.assert_close(network.penalty(), expected, rtol=1e-4, atol=1e-5)


@given(num_tasks=st.integers(1, 6))
def test_backbones_start_from_the_same_values_and_share_none(num_tasks: int) -> None:
    network = soft_sharing(num_tasks, 1.0)

    assert float(network.penalty().detach()) == pytest.approx(0.0, abs=1e-9)
    assert len({parameter.data_ptr() for parameter in network.backbones.parameters()}) == 2 * num_tasks


def test_the_penalty_pulls_backbones_together_and_leaves_heads_alone() -> None:
    network = soft_sharing(3, 0.5)
    scatter(network)
    before = float(network.penalty().detach())

    network.penalty().backward()

    assert all(parameter.grad is None for parameter in network.heads.parameters())
    with torch.no_grad():
        for parameter in network.backbones.parameters():
            assert parameter.grad is not None
            parameter -= 0.1 * parameter.grad
    assert float(network.penalty().detach()) < before


@pytest.mark.parametrize(("strength", "has_penalty"), [(0.0, False), (0.1, True)])
def test_it_asks_for_a_penalty_only_with_a_strength(strength: float, has_penalty: bool) -> None:
    assert soft_sharing(2, strength).has_penalty == has_penalty
