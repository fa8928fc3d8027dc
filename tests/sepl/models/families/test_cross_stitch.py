import re

import pytest
import torch
from torch import Tensor

from sepl.config import ModelConfig
from sepl.models.build import build_network
from sepl.models.parts.network import MultiTaskNetwork
from sepl.tasks import BUILT_IN_TASKS, TaskTable

TASKS = TaskTable.of(BUILT_IN_TASKS[name] for name in ("sex", "age", "height", "sbp", "dbp", "glucose", "hba1c"))
NUM_TASKS = len(TASKS)


def build() -> MultiTaskNetwork:
    config = ModelConfig.parse({"family": "cross_stitch", "backbone": "test_resnet"}, "test")
    return build_network(config, TASKS, image_size=32)


def gradients(network: MultiTaskNetwork, loss: Tensor) -> dict[str, Tensor]:
    names, parameters = zip(*network.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True, materialize_grads=True)
    return dict(zip(names, found, strict=True))


def test_cross_stitches_start_as_nine_tenths_of_the_own_network() -> None:
    stitches = [parameter for name, parameter in build().named_parameters() if name.endswith("mixture")]

    assert len(stitches) == 4
    for mixture_TT in stitches:
        assert mixture_TT.diagonal().tolist() == pytest.approx([0.9] * NUM_TASKS)
        assert mixture_TT.sum(dim=1).tolist() == pytest.approx([1.0] * NUM_TASKS)


def test_a_task_hears_the_networks_that_its_row_of_the_stitches_names() -> None:
    network = build()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("mixture"):
                parameter.copy_(torch.eye(NUM_TASKS))
                parameter[2, 5] = 0.5

    found = [gradients(network, output) for output in network(torch.randn(3, 3, 32, 32)).sum(dim=0)]

    heard = [
        {int(part[1]) for name in of_task if (part := re.search(r"copies\.(\d+)\.", name)) and of_task[name].any()}
        for of_task in found
    ]
    assert heard == [{0}, {1}, {2, 5}, {3}, {4}, {5}, {6}]
