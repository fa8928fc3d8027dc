"""A network a task, nothing shared: y_t = w_t · f_t(x) + b_t."""

import pytest
import torch
from torch import nn

from sepl.models.families.single_task import SingleTaskNetwork

SIZE, NUM_FEATURES, NUM_TASKS = 4, 5, 3


@pytest.fixture
def network() -> SingleTaskNetwork:
    backbones = [nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE**2, NUM_FEATURES)) for _ in range(NUM_TASKS)]
    return SingleTaskNetwork(backbones, NUM_FEATURES)


def test_each_task_is_seen_by_its_own_backbone(network: SingleTaskNetwork) -> None:
    images_BCHW = torch.randn(2, 3, SIZE, SIZE)

    features_BTF = network.represent(images_BCHW)

    assert features_BTF.shape == (2, NUM_TASKS, NUM_FEATURES)
    for task, backbone in enumerate(network.backbones):
        torch.testing.assert_close(features_BTF[:, task], backbone(images_BCHW))
    assert network.decide(features_BTF).shape == (2, NUM_TASKS)


@pytest.mark.parametrize("task", range(NUM_TASKS))
def test_a_loss_of_one_task_reaches_no_other_backbone(network: SingleTaskNetwork, task: int) -> None:
    network.decide(network.represent(torch.randn(2, 3, SIZE, SIZE)))[:, task].sum().backward()

    reached = [
        any(parameter.grad is not None and parameter.grad.any() for parameter in backbone.parameters())
        for backbone in network.backbones
    ]
    assert reached == [other == task for other in range(NUM_TASKS)]


@pytest.mark.parametrize("task", range(NUM_TASKS))
def test_an_output_follows_the_features_of_its_task_alone(network: SingleTaskNetwork, task: int) -> None:
    features_BTF = torch.randn(2, NUM_TASKS, NUM_FEATURES)
    changed_BTF = features_BTF.clone()
    changed_BTF[:, task] += 1.0

    same_BT = network.decide(features_BTF) == network.decide(changed_BTF)

    assert same_BT.all(dim=0).tolist() == [other != task for other in range(NUM_TASKS)]


def test_it_says_that_it_has_no_shared_trunk(network: SingleTaskNetwork) -> None:
    assert not network.has_shared_trunk
    assert not network.has_penalty
