"""A network's outputs for stored photographs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from sepl.config import ModelConfig
from sepl.models.build import build_network
from sepl.models.parts.network import MultiTaskNetwork, Representation
from sepl.models.pixels import to_input
from sepl.models.predict import predict_outputs, represent_pixels
from sepl.tasks import CARDIOMETABOLIC_TASKS, TaskTable

IMAGE_SIZE = 32
CPU = torch.device("cpu")


def build(backbone: str = "test_resnet") -> MultiTaskNetwork:
    config = ModelConfig(backbone=backbone, hidden_width=16, drop_path=0.3)
    return build_network(config, TaskTable.of(CARDIOMETABOLIC_TASKS), IMAGE_SIZE)


def photographs(num: int) -> NDArray[np.uint8]:
    return np.random.default_rng(num).integers(0, 256, (num, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit", "test_convnext", "mobilenetv4_conv_small_035"])
def test_a_photograph_scores_the_same_alone_or_in_a_batch(backbone: str) -> None:
    network, pixels = build(backbone), photographs(7)

    together_NK = predict_outputs(network, [pixels], device=CPU)
    alone_NK = predict_outputs(network, [pixels], device=CPU, batch_size=1)

    np.testing.assert_allclose(together_NK, alone_NK, atol=1e-5, rtol=1e-5)


def test_shards_are_predicted_in_their_order_whatever_the_batch_size() -> None:
    network, shards = build(), [photographs(5), photographs(1), photographs(8)]
    expected = network.eval()(to_input(torch.from_numpy(np.concatenate(shards)), *network.normalisation))

    outputs_NK = predict_outputs(network, shards, device=CPU, batch_size=3)

    assert outputs_NK.dtype == np.float32
    np.testing.assert_allclose(outputs_NK, expected.detach().numpy(), atol=1e-5, rtol=1e-5)


def test_memory_mapped_shards_are_read_in_place(tmp_path: Path) -> None:
    network, pixels = build(), photographs(5)
    np.save(tmp_path / "shard.npy", pixels)
    mapped = np.load(tmp_path / "shard.npy", mmap_mode="r")

    outputs_NK = predict_outputs(network, [mapped], device=CPU, batch_size=2)

    np.testing.assert_array_equal(outputs_NK, predict_outputs(network, [pixels], device=CPU, batch_size=2))


@pytest.mark.parametrize("training", [True, False])
def test_the_network_comes_back_as_it_went(training: bool) -> None:
    network = build().train(training)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    predict_outputs(network, [photographs(3)], device=CPU)

    assert network.training is training
    torch.testing.assert_close(network.state_dict(), before, atol=0, rtol=0)


def test_no_photograph_gives_no_row() -> None:
    network = build()

    assert predict_outputs(network, [], device=CPU).shape == (0, 15)
    assert predict_outputs(network, [photographs(0)], device=CPU).shape == (0, 15)


def test_outputs_under_autocast_are_float32() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs_NK = predict_outputs(build(), [photographs(2)], device=CPU)

    assert outputs_NK.dtype == np.float32


@pytest.mark.gpu
def test_a_gpu_agrees_with_the_cpu() -> None:
    network, pixels = build(), photographs(9)
    on_cpu_NK = predict_outputs(network, [pixels], device=CPU)

    on_gpu_NK = predict_outputs(network.to("cuda"), [pixels], device=torch.device("cuda"), batch_size=4)

    np.testing.assert_allclose(on_gpu_NK, on_cpu_NK, atol=2e-2, rtol=2e-2)  # convolutions round to TF32


def test_photographs_pass_in_parts_when_memory_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    network, pixels, tried = build(), photographs(7), []
    expected_NK = predict_outputs(network, [pixels], device=CPU)
    _run_out_above(2, network, tried, monkeypatch)

    outputs_NK = predict_outputs(network, [pixels], device=CPU)

    np.testing.assert_allclose(outputs_NK, expected_NK, atol=1e-5, rtol=1e-5)
    assert tried == [7, 3, 1, 2, 4, 2, 2]


def test_a_photograph_that_is_too_large_alone_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build()
    _run_out_above(0, network, [], monkeypatch)

    with pytest.raises(torch.OutOfMemoryError):
        predict_outputs(network, [photographs(3)], device=CPU)


def _run_out_above(most: int, network: MultiTaskNetwork, tried: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The device's memory runs out for more photographs than `most` at once."""
    whole = network.represent

    def represent(images_BCHW: Tensor) -> Representation:
        tried.append(len(images_BCHW))
        if len(images_BCHW) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return whole(images_BCHW)

    monkeypatch.setattr(network, "represent", represent)


@pytest.mark.parametrize(("name", "white"), [("test_vit", 1.0), ("test_efficientnet", (1 - 0.485) / 0.229)])
def test_a_network_is_given_pixels_normalised_as_its_own_are(name: str, white: float) -> None:
    network, seen = build(name), []
    backbone = network.get_submodule("backbone")
    backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0][0, 0, 0, 0].item()))
    pixels = np.full((1, 32, 32, 3), 255, np.uint8)

    predict_outputs(network, [pixels], device=CPU)
    represent_pixels(network.eval(), pixels, CPU)

    assert seen == pytest.approx([white, white])
