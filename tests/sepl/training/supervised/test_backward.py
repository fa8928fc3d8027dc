"""Gradients of a batch in parts: the same as of the whole, found by themselves when memory runs out."""

import logging
from dataclasses import replace

import pytest
import torch
from planted_data import graded_data
from torch import Tensor

from sepl.config import TrialConfig
from sepl.models.build import build_network
from sepl.models.parts.network import MultiTaskNetwork
from sepl.training.engine.seeding import RandomStreams
from sepl.training.input.augment import Augmenter
from sepl.training.input.batches import Batch, TrainingData
from sepl.training.supervised.backward import BatchBackward
from sepl.training.supervised.losses import TaskLosses
from sepl.training.supervised.passes import Passes
from sepl.training.weighting.build import build_weighting

NUM_PHOTOGRAPHS = 10
WEIGHTINGS = ["equal", "fixed", "uncertainty_laplace", "dwa", "famo", "stch", "upgrad", "pcgrad"]


class Pass:
    """One batch through one network, by a weighting."""

    def __init__(self, config: TrialConfig, data: TrainingData) -> None:
        self.streams = RandomStreams(0, data.device)
        with self.streams.active():
            self.network = build_network(config.model, data.tasks, data.image_spec.size)
        self.weighting = build_weighting(config.training, data.tasks, self.network, data.device)
        self.task_losses, self.training = TaskLosses(data.tasks, data.device), config.training
        self.prepare()
        self.batch = _batch(data)
        self.images_BCHW = Augmenter(self.network.normalisation, 0.0, torch.Generator())(self.batch.pixels_BHWC)

    def prepare(self) -> None:
        self.passes = Passes(
            self.network,
            self.weighting,
            self.task_losses,
            precision="float32",
            streams=self.streams,
            micro_batch_size=self.training.micro_batch_size,
            compile_backbone=self.training.compile_backbone,
        )
        self.backward = BatchBackward(self.passes)

    def allow(self, most: int) -> list[int]:
        """Lets memory run out above `most` photographs; gives the numbers of photographs that are tried."""
        tried: list[int] = []
        _run_out_above(self.network, most, tried)
        self.prepare()
        return tried

    def run(self) -> tuple[Tensor, dict[str, Tensor]]:
        """Losses, and the gradient of each parameter that has one."""
        with self.streams.active():
            losses_T = self.backward(self.images_BCHW, self.batch)
        learned = [*self.network.named_parameters(), *self.weighting.named_parameters("weighting")]
        return losses_T, {name: parameter.grad for name, parameter in learned if parameter.grad is not None}


def _batch(data: TrainingData) -> Batch:
    batch = next(data.train.epoch(NUM_PHOTOGRAPHS, torch.Generator().manual_seed(1)))
    present_BT = batch.present_BT.clone()
    present_BT[1:, 3] = 0  # one label in the batch: in most parts, none
    present_BT[:, 4] = 0  # no label at all
    return replace(batch, present_BT=present_BT)


def _run_out_above(network: MultiTaskNetwork, most: int, tried: list[int]) -> None:
    """The device's memory runs out in the backward pass of more photographs than `most`."""
    whole = network.represent

    def run_out(_: Tensor) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    def represent(images_BCHW: Tensor) -> Tensor:
        tried.append(len(images_BCHW))
        features = whole(images_BCHW)
        assert isinstance(features, Tensor)
        if len(images_BCHW) > most and torch.is_grad_enabled():
            features.register_hook(run_out)
        return features

    network.represent = represent


@pytest.fixture
def smooth(config: TrialConfig) -> TrialConfig:
    """A network without batch norm."""
    return config.with_params(backbone="test_vit", batch_size=NUM_PHOTOGRAPHS)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("micro_batch_size", [1, 3, 5])
def test_parts_give_the_gradients_of_the_whole(
    weighting: str, micro_batch_size: int, smooth: TrialConfig, data: TrainingData
) -> None:
    smooth = smooth.with_params(weighting=weighting, num_epochs=5)  # more than STCH warms up for
    whole_T, whole = Pass(smooth, data).run()

    parts_T, parts = Pass(smooth.with_params(micro_batch_size=micro_batch_size), data).run()

    torch.testing.assert_close(parts_T, whole_T)
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_parts_give_the_gradients_of_the_whole_with_graded_tasks(weighting: str, smooth: TrialConfig) -> None:
    data = graded_data(0, num_train=40, num_validation=4, size=32)
    smooth = smooth.with_params(weighting=weighting, task_split="grade+sex", num_epochs=5)
    whole_T, whole = Pass(smooth, data).run()

    parts_T, parts = Pass(smooth.with_params(micro_batch_size=3), data).run()

    torch.testing.assert_close(parts_T, whole_T)
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("family", ["sepl", "hard_sharing", "single_task", "mmoe", "mtan"])
def test_parts_give_the_gradients_of_the_whole_in_every_shape_of_family(
    family: str, smooth: TrialConfig, data: TrainingData
) -> None:
    params = {"family": family, "backbone": "test_convnext", "weighting": "famo", "learning_rate": 1e-3}
    config = TrialConfig.from_params(params)
    whole_T, whole = Pass(config, data).run()

    parts_T, parts = Pass(config.with_params(micro_batch_size=4), data).run()

    torch.testing.assert_close(parts_T, whole_T)
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("weighting", ["equal", "dwa", "upgrad"])
def test_when_memory_runs_out_the_batch_passes_again_in_halves_with_the_same_result(
    weighting: str, smooth: TrialConfig, data: TrainingData, caplog: pytest.LogCaptureFixture
) -> None:
    smooth = smooth.with_params(weighting=weighting)
    roomy, tight = Pass(smooth, data), Pass(smooth, data)
    tight.allow(3)
    whole_T, whole = roomy.run()

    with caplog.at_level(logging.WARNING):
        parts_T, parts = tight.run()

    torch.testing.assert_close(parts_T, whole_T)
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=1e-4)
    for name, remembered in tight.weighting.state_dict().items():  # nothing is counted twice
        torch.testing.assert_close(remembered, roomy.weighting.state_dict()[name], equal_nan=True)
    assert tight.passes.micro_batch_size == 3
    assert [record.getMessage() for record in caplog.records] == [
        "memory ran out for 10 photographs at once: going on with 5",
        "memory ran out for 5 photographs at once: going on with 3",
    ]


def test_the_size_that_fitted_is_remembered(smooth: TrialConfig, data: TrainingData) -> None:
    tight = Pass(smooth, data)
    tried = tight.allow(5)

    for _ in range(2):
        tight.run()

    assert tried == [10, 5, 5, 5, 5]


def test_a_photograph_that_is_too_large_alone_raises(smooth: TrialConfig, data: TrainingData) -> None:
    tight = Pass(smooth, data)
    tight.allow(0)

    with pytest.raises(torch.OutOfMemoryError):
        tight.run()


def test_random_layers_draw_the_same_after_memory_ran_out(smooth: TrialConfig, data: TrainingData) -> None:
    config = smooth.with_params(drop_path=0.5, micro_batch_size=5)
    planned, surprised = Pass(config, data), Pass(config.with_params(micro_batch_size=0), data)
    surprised.allow(5)

    losses_T, gradients = planned.run()
    again_T, again = surprised.run()

    assert torch.equal(again_T, losses_T)
    torch.testing.assert_close(again, gradients, atol=0, rtol=0)
    for place, state in planned.streams.state_dict().items():
        assert torch.equal(surprised.streams.state_dict()[place], state), place


@pytest.mark.parametrize("weighting", ["equal", "upgrad"])
def test_a_dropped_path_is_dropped_in_both_passes(weighting: str, smooth: TrialConfig, data: TrainingData) -> None:
    """The gradient belongs to the losses that are told: a step along it lowers them, draws repeated."""
    config = smooth.with_params(drop_path=0.5, micro_batch_size=5, weighting=weighting)
    first, again = Pass(config, data), Pass(config, data)
    losses_T, gradients = first.run()
    step = 1e-4 / max(float(gradient.norm()) for gradient in gradients.values())

    with torch.no_grad():
        for name, parameter in again.network.named_parameters():
            parameter -= step * gradients[name]
    lower_T, _ = again.run()

    assert lower_T.sum() < losses_T.sum()


def test_batch_norm_counts_each_photograph_once(config: TrialConfig, data: TrainingData) -> None:
    config = config.with_params(micro_batch_size=5, weighting="famo")
    twice, once = Pass(config, data), Pass(config.with_params(weighting="equal"), data)

    twice.run()
    once.run()

    buffers = dict(once.network.named_buffers())
    for name, buffer in twice.network.named_buffers():
        if "running" in name:
            torch.testing.assert_close(buffer, buffers[name])


def test_no_part_is_one_photograph_alone_where_more_fit(config: TrialConfig, data: TrainingData) -> None:
    setting = {"backbone": "mobilenetv4_conv_small_035", "micro_batch_size": 3}  # its last norm follows the pooling
    one = Pass(config.with_params(**setting), data)
    sizes: list[int] = []
    _run_out_above(one.network, NUM_PHOTOGRAPHS, sizes)
    one.prepare()

    one.run()

    assert sorted(sizes) == [2, 2, 3, 3]


@pytest.mark.slow
def test_a_compiled_backbone_gives_the_same_gradients_and_the_second_finds_its_kernels(
    smooth: TrialConfig, data: TrainingData, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._dynamo.utils import counters

    cache = tmp_path_factory.mktemp("compiled")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(cache))
    plain_T, plain = Pass(smooth, data).run()
    compiled = smooth.with_params(compile_backbone=True)

    losses_T, gradients = Pass(compiled, data).run()
    num_misses = counters["inductor"]["fxgraph_cache_miss"]
    torch._dynamo.reset()  # as another trial, or another process, would find it
    Pass(compiled, data).run()

    torch.testing.assert_close(losses_T, plain_T, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(gradients, plain, atol=1e-5, rtol=1e-3)
    assert num_misses > 0
    assert counters["inductor"]["fxgraph_cache_miss"] == num_misses
    assert any(cache.rglob("*.so"))
