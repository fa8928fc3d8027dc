"""From settings to a network that trains."""

import subprocess
import sys

import pytest
import torch

from sepl.config import ModelConfig, Propagation
from sepl.data.imaging.photograph import IMAGENET
from sepl.errors import ConfigError
from sepl.models.build import build_network
from sepl.tasks import CARDIOMETABOLIC_TASKS, TASK_SPLITS, TaskTable

TASKS = TaskTable.of(CARDIOMETABOLIC_TASKS)


def config(**changes: object) -> ModelConfig:
    return ModelConfig.parse({"backbone": "test_resnet", "hidden_width": 16, **changes}, "test")


@pytest.mark.parametrize("task_split", TASK_SPLITS)
@pytest.mark.parametrize("propagation", ["predicted", "detached", "none"])
def test_every_split_and_propagation_gives_an_output_a_task(task_split: str, propagation: Propagation) -> None:
    network = build_network(config(task_split=task_split, propagation=propagation), TASKS, 32)

    outputs_BK = network(torch.randn(2, 3, 32, 32))

    assert outputs_BK.shape == (2, 15)
    outputs_BK.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("backbone", ["test_vit", "test_convnext", "mobilenetv4_conv_small_035"])
def test_one_step_of_gradient_lowers_the_loss(backbone: str) -> None:
    network = build_network(config(backbone=backbone), TASKS, 32)
    images_BCHW, labels_BK = torch.randn(4, 3, 32, 32), torch.randn(4, 15)
    before = (network(images_BCHW) - labels_BK).square().mean()
    before.backward()

    with torch.no_grad():
        for parameter in network.parameters():
            assert parameter.grad is not None
            parameter -= 1e-3 * parameter.grad

    assert (network(images_BCHW) - labels_BK).square().mean() < before


def test_tasks_of_a_cohort_of_its_own_in_any_order() -> None:
    reordered = TaskTable.of([TASKS["sbp"], TASKS["age"], TASKS["bun"], TASKS["sex"]])
    network = build_network(config(task_split="age+sex"), reordered, 32).eval()
    images_BCHW = torch.randn(2, 3, 32, 32)
    head, backbone = network.get_submodule("head"), network.get_submodule("backbone")

    outputs_BK = network(images_BCHW)

    priors_BP = head.get_submodule("prior_heads")(backbone(images_BCHW))
    torch.testing.assert_close(outputs_BK[:, [1, 3]], priors_BP)


def test_a_seed_gives_the_same_network() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(7)
        states.append(build_network(config(), TASKS, 32).state_dict())

    torch.testing.assert_close(states[0], states[1], atol=0, rtol=0)


def test_weights_are_left_aside_when_a_state_follows() -> None:
    absent = config(weights="/nowhere/weights.safetensors")

    network = build_network(absent, TASKS, 32, initialise=False)

    assert network.num_tasks == 15
    with pytest.raises(ConfigError, match="found no file"):
        build_network(absent, TASKS, 32)


def test_a_network_normalises_as_its_backbone_unless_told_otherwise() -> None:
    own, other = (config(backbone=backbone) for backbone in ("test_vit", "test_efficientnet"))

    assert build_network(own, TASKS, 32).normalisation == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert build_network(own, TASKS, 32, initialise=False).normalisation == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert build_network(own, TASKS, 32, initialise=False, normalisation=IMAGENET).normalisation == IMAGENET
    assert build_network(other, TASKS, 32).normalisation == IMAGENET


def test_a_state_that_goes_out_and_in_gives_the_same_outputs() -> None:
    first, second = (build_network(config(backbone="test_vit"), TASKS, 32).eval() for _ in range(2))
    images_BCHW = torch.randn(2, 3, 32, 32)

    second.load_state_dict(first.state_dict())

    assert torch.equal(first(images_BCHW), second(images_BCHW))


def test_convolutions_lie_as_stored_pixels_do() -> None:
    network = build_network(config(), TASKS, 32)

    kernels = [parameter for parameter in network.parameters() if parameter.ndim == 4]

    assert kernels
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)


def test_a_step_of_a_backbone_with_a_strided_convolution_of_the_image_survives() -> None:
    script = """
import torch
from sepl.config import ModelConfig
from sepl.models.build import build_network
from sepl.tasks import CARDIOMETABOLIC_TASKS, TaskTable

tasks = TaskTable.of(CARDIOMETABOLIC_TASKS)
network = build_network(ModelConfig(family="hard_sharing", backbone="fastvit_t8"), tasks, 64)
for _ in range(3):
    network(torch.rand(2, 3, 64, 64)).sum().backward()
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)

    assert run.returncode == 0, run.stderr  # a process of its own, since torch would end this one
