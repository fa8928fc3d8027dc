"""What training, validation and measurements show a network is normalised as its backbone's photographs were."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from timm.models.efficientnet import EfficientNet
from timm.models.resnet import ResNet
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from sepl.config import TrialConfig
from sepl.data.imaging.photograph import IMAGENET, Normalisation
from sepl.training.affinity.measure import AffinityProbe
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun

HALVES = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@contextmanager
def watched_backbones() -> Iterator[list[Tensor]]:
    """What any backbone is given meanwhile, also that of averaged weights, which is out of reach."""
    seen: list[Tensor] = []

    def watch(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if isinstance(module, ResNet | EfficientNet):
            seen.append(inputs[0])

    hook = register_module_forward_pre_hook(watch)
    yield seen
    hook.remove()


def assert_pixels(images: list[Tensor], normalisation: Normalisation) -> None:
    """Whole numbers from 0 to 255 once the normalisation is taken back; photographs of this cohort have black corners,
    and no other numbers give them back as 0."""
    assert images
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in normalisation)
    for images_BCHW in images:
        pixels_BCHW = (images_BCHW * std + mean) * 255
        torch.testing.assert_close(pixels_BCHW, pixels_BCHW.round(), atol=1e-3, rtol=0)
        assert pixels_BCHW.amin().item() == pytest.approx(0, abs=1e-3)


@pytest.fixture
def plain(config: TrialConfig) -> TrialConfig:
    return config.with_params(backbone="test_resnet", augment_strength=0.0, num_epochs=2, ema_decay=0.5)


@pytest.mark.parametrize(("backbone", "expected"), [("test_resnet", HALVES), ("test_efficientnet", IMAGENET)])
def test_training_validation_and_affinity_normalise_alike(
    backbone: str, expected: Normalisation, plain: TrialConfig, data: TrainingData
) -> None:
    run = TrainingRun(plain.with_params(backbone=backbone, ema_decay=0.0), data)
    with watched_backbones() as seen:
        run.run_epoch()
        AffinityProbe(run.network, data, plain, every=1)()

    assert_pixels(seen, expected)


def test_a_restored_run_goes_on_with_its_numbers(plain: TrialConfig, data: TrainingData, tmp_path: Path) -> None:
    first, second = TrainingRun(plain, data), TrainingRun(plain, data)
    first.save(tmp_path)

    second.restore(tmp_path)

    assert second.network.normalisation == HALVES


def test_a_save_that_tells_no_numbers_goes_on_as_it_was_trained(
    plain: TrialConfig, data: TrainingData, tmp_path: Path
) -> None:
    run = TrainingRun(plain, data)
    run.save(tmp_path)
    told = load_file(tmp_path / "objective.safetensors")
    del told["normalisation"]
    save_file(told, tmp_path / "objective.safetensors")

    run.restore(tmp_path)

    with watched_backbones() as seen:
        run.run_epoch()
    assert_pixels(seen, IMAGENET)
