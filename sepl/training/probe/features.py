"""What a backbone that is never trained makes of photographs.

Axes: N, B photograph, H height, W width, F feature.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sepl.config import ModelConfig
from sepl.data.imaging.photograph import Normalisation
from sepl.device import pick_device
from sepl.models.backbone.build import build_backbone
from sepl.models.backbone.normalisation import backbone_normalisation
from sepl.models.pixels import to_input
from sepl.training.input.augment import Augmenter

_BATCH_SIZE = 64


@dataclass(frozen=True, eq=False)
class Encoder:
    """A backbone with its initial weights, in evaluation mode."""

    backbone: nn.Module
    num_features: int
    normalisation: Normalisation
    weights_sha256: str
    """Of all its tensors: the same weights have the same features, whichever file they came in."""
    device: torch.device

    @classmethod
    def build(cls, config: ModelConfig, image_size: int, *, seed: int = 0, device: str = "auto") -> "Encoder":
        """Of the config's backbone, weights and final norm; `seed` is of random weights. Raises ConfigError."""
        place = pick_device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            backbone, num_features = build_backbone(
                config.backbone,
                weights=config.weights,
                image_size=image_size,
                drop_path=0.0,
                final_norm=config.final_norm,
            )
        backbone.eval().requires_grad_(False)
        sha256 = _sha256_of(backbone)
        backbone.to(place).to(memory_format=torch.channels_last)
        return cls(backbone, num_features, backbone_normalisation(config.backbone, config.weights), sha256, place)

    def encode(
        self, shards: Sequence[NDArray[np.uint8]], *, strength: float = 0.0, draw: int = 0
    ) -> NDArray[np.float32]:
        """Features (N, F) of photographs (n, H, W, 3) uint8 in the order of the shards.

        With `strength` they are changed first as training changes them (`sepl.training.input.augment`), by the
        random numbers of this `draw`: the same every time.
        """
        augment = self._augmenter(strength, draw)
        with torch.inference_mode():
            rows = [self.backbone(augment(pixels)).float().cpu() for pixels in _batches(shards, self.device)]
        if not rows:
            return np.empty((0, self.num_features), np.float32)
        return torch.cat(rows).numpy()

    def _augmenter(self, strength: float, draw: int) -> "Augmenter | _Plain":
        if strength == 0:
            return _Plain(self.normalisation)
        generator = torch.Generator(self.device).manual_seed(draw)
        return Augmenter(self.normalisation, strength, generator)


@dataclass(frozen=True)
class _Plain:
    """Pixels as a network is given them in validation and in use."""

    normalisation: Normalisation

    def __call__(self, pixels_BHWC: Tensor) -> Tensor:
        return to_input(pixels_BHWC, *self.normalisation)


def _batches(shards: Sequence[NDArray[np.uint8]], device: torch.device) -> Iterator[Tensor]:
    for shard in shards:
        for start in range(0, len(shard), _BATCH_SIZE):
            yield torch.from_numpy(np.array(shard[start : start + _BATCH_SIZE])).to(device, non_blocking=True)


def _sha256_of(backbone: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(backbone.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
