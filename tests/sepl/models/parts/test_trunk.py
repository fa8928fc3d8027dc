"""One backbone, one head, and what the head is told: labels, turns and a list for its penalties."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sepl.models.parts.gates import LoadBalance
from sepl.models.parts.group_adapters import GroupedHead
from sepl.models.parts.network import Context
from sepl.models.parts.trunk import TrunkNetwork

SIZE, NUM_FEATURES, NUM_TASKS = 4, 5, 2


class Listening(nn.Linear):
    """A linear head that remembers what it was told."""

    def __init__(self) -> None:
        super().__init__(NUM_FEATURES, NUM_TASKS)
        self.told: dict[str, Any] = {}

    def forward(self, input: Tensor, **told: Any) -> Tensor:  # noqa: A002 - torch's name
        self.told = told
        return super().forward(input)


class Gated(Listening):
    """Charges the unevenness of two gates, as often as it is asked."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.balance = LoadBalance(weight)

    def forward(self, input: Tensor, **told: Any) -> Tensor:  # noqa: A002 - torch's name
        self.balance.charge(input[:, :2].softmax(dim=1)[:, None], told.get("penalties"))
        return super().forward(input, **told)


def trunk(head: nn.Module) -> TrunkNetwork:
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE**2, NUM_FEATURES))
    return TrunkNetwork(backbone, head, NUM_TASKS)


def test_outputs_are_the_heads_on_what_the_backbone_saw() -> None:
    network = trunk(nn.Linear(NUM_FEATURES, NUM_TASKS))
    images_BCHW = torch.randn(3, 3, SIZE, SIZE)

    assert network.represent(images_BCHW).shape == (3, NUM_FEATURES)
    torch.testing.assert_close(network(images_BCHW), network.head(network.backbone(images_BCHW)))


@pytest.mark.parametrize("needs_labels", [True, False])
def test_a_head_is_told_labels_only_where_the_network_needs_them(needs_labels: bool) -> None:
    head = Listening()
    network = trunk(head)
    network.needs_labels = needs_labels
    labels_BT = torch.randn(3, NUM_TASKS)

    network.decide(torch.randn(3, NUM_FEATURES), Context(labels_BT=labels_BT))

    assert set(head.told) == ({"labels_BK"} if needs_labels else set())
    if needs_labels:
        assert head.told["labels_BK"] is labels_BT


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_only_a_head_that_weighs_its_gates_has_a_penalty(weight: float) -> None:
    head = Gated(weight)
    network = trunk(head)
    context = Context(penalties=[])

    network.decide(torch.randn(3, NUM_FEATURES), context)

    assert network.has_penalty == (weight > 0)
    assert ("penalties" in head.told) == (weight > 0)
    assert (float(network.penalty(context)) > 0) == (weight > 0)


def test_the_penalty_of_a_head_asked_once_a_group_is_the_mean_of_what_it_charged() -> None:
    network = trunk(GroupedHead(Gated(0.3), NUM_FEATURES, group_of_task=[0, 1], width=3))
    features_BF = torch.randn(4, NUM_FEATURES)
    once, twice = Context(penalties=[]), Context(penalties=[])

    trunk(Gated(0.3)).decide(features_BF, once)
    network.decide(features_BF, twice)

    assert once.penalties is not None
    assert twice.penalties is not None
    assert (len(once.penalties), len(twice.penalties)) == (1, 2)
    # mixers start at 0, so that both groups see the features themselves
    torch.testing.assert_close(network.penalty(twice), once.penalties[0])


def test_a_penalty_is_not_asked_of_a_forward_that_kept_none() -> None:
    with pytest.raises(AssertionError, match="a list for its penalties"):
        trunk(Gated(0.3)).penalty(Context())
