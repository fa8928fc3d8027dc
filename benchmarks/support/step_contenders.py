"""Training steps to be timed against sepl's: the least that a backbone costs, and the released code's."""

from collections.abc import Iterator
from pathlib import Path

import timm
import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW
from torch.utils.data import DataLoader, Dataset
from torchvision.models import convnext_tiny

from benchmarks.support.released_input import ReleasedPhotographs
from benchmarks.support.sepl_loop import PlainLoop
from sepl.config import Precision
from sepl.data.imaging.photograph import IMAGENET_MEAN, IMAGENET_STD
from sepl.device import autocast
from sepl.execution.cores import num_cores
from sepl.training.input.batches import Batch

LEARNING_RATE = 1e-4
NUM_FEATURES = 768
"""Of ConvNeXt-T."""


class BareStep:
    """Backbone and one linear head on a batch of normalised images that is on the device; fused AdamW.

    Memory formats and precision are sepl's. Nothing is gathered, augmented, masked or recorded.
    """

    def __init__(self, backbone: str, images_BCHW: Tensor, batch: Batch, precision: Precision) -> None:
        num_tasks = batch.targets_BT.shape[1]
        network = nn.Sequential(timm.create_model(backbone, num_classes=0), nn.Linear(NUM_FEATURES, num_tasks))
        self._network = network.to(memory_format=torch.channels_last).to(images_BCHW.device)
        self._optimiser = AdamW(self._network.parameters(), lr=LEARNING_RATE, fused=True)
        self._images_BCHW, self._targets_BT = images_BCHW, batch.targets_BT
        self._precision: Precision = precision

    def __call__(self) -> None:
        with autocast(self._precision, self._images_BCHW.device):
            outputs_BT = self._network(self._images_BCHW)
        (outputs_BT.float() - self._targets_BT).abs().mean().backward()
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        wait(self._images_BCHW.device)


class ReleasedStep:
    """The structure of the released training loop: a DataLoader that decodes and equalises each photograph anew, an
    expert, a gate and a head a layer, 15 losses of which each is fetched by `.item()`, Adam, full precision."""

    def __init__(
        self, files: list[Path], image_size: int, batch_size: int, num_priors: int, num_tasks: int, device: torch.device
    ) -> None:
        backbone = convnext_tiny()
        backbone.classifier = nn.Sequential(nn.Flatten())  # theirs is nothing, and flattens later
        head = PlainLoop(NUM_FEATURES, num_priors, num_tasks - num_priors, num_experts=4, hidden_width=512)
        self._network = nn.Sequential(backbone, head).to(device)
        self._optimiser = Adam(self._network.parameters(), lr=LEARNING_RATE)
        self._losses = [nn.BCEWithLogitsLoss(), *(nn.L1Loss() for _ in range(num_tasks - 1))]
        self._loader = DataLoader(
            _Examples(ReleasedPhotographs(files, image_size), num_tasks),
            batch_size=batch_size,
            shuffle=True,
            num_workers=num_workers(),
            persistent_workers=True,
            drop_last=True,
        )
        self._device = device
        self._batches = self._endless()

    def __call__(self) -> None:
        images_BCHW, targets_BT = (part.to(self._device) for part in next(self._batches))
        self._optimiser.zero_grad()
        outputs_BT = self._network(images_BCHW)
        losses = [loss(outputs_BT[:, k], targets_BT[:, k]) for k, loss in enumerate(self._losses)]
        for loss in losses:
            loss.item()
        total = torch.stack(losses).sum()
        total.backward()
        self._optimiser.step()
        total.item()
        wait(self._device)

    def _endless(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield from self._loader


class _Examples(Dataset[tuple[Tensor, Tensor]]):
    """Normalised images (3, H, W) and labels (T,), which for the time that a step takes may be anything."""

    def __init__(self, photographs: ReleasedPhotographs, num_tasks: int) -> None:
        self._photographs, self._num_tasks = photographs, num_tasks

    def __len__(self) -> int:
        return len(self._photographs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        pixels_CHW = torch.from_numpy(self._photographs[index]).permute(2, 0, 1).float() / 255
        mean_C11, std_C11 = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
        return (pixels_CHW - mean_C11) / std_C11, torch.zeros(self._num_tasks)


def num_workers() -> int:
    """Four in the released code; not more than there are cores."""
    return min(4, num_cores())


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
