"""A network's outputs for stored photographs."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sepl.data.images import ImageSpec
from sepl.models.pixels import to_input


def predict_outputs(
    network: nn.Module,
    shards: Sequence[NDArray[np.uint8]],
    image_spec: ImageSpec,
    *,
    device: torch.device,
    batch_size: int = 64,
) -> NDArray[np.float32]:
    """Outputs (N, T) of all photographs in the order of the shards: scaled values, logits for binary tasks.

    Shards are (n, H, W, 3) uint8, possibly memory-mapped: only a batch of them is in memory at a time. The network,
    already on `device`, is used in evaluation mode, so that a photograph's outputs do not depend on the others of its
    batch, and is handed back in the mode it came in. Arithmetic is the network's; for mixed precision, call this
    inside `torch.autocast`.
    """
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            outputs = [
                network(to_input(pixels_BHWC, image_spec.mean, image_spec.std)).float()
                for pixels_BHWC in _batches(shards, device, batch_size)
            ]
            return torch.cat(outputs).cpu().numpy() if outputs else _no_outputs(network)
    finally:
        network.train(was_training)


def _batches(shards: Sequence[NDArray[np.uint8]], device: torch.device, batch_size: int) -> Iterator[Tensor]:
    for shard in shards:
        for start in range(0, len(shard), batch_size):
            # A copy: torch cannot wrap read-only memory such as a map, and these bytes are a quarter of the floats.
            yield torch.from_numpy(np.array(shard[start : start + batch_size])).to(device, non_blocking=True)


def _no_outputs(network: nn.Module) -> NDArray[np.float32]:
    num_tasks = network.num_tasks
    assert isinstance(num_tasks, int), "a network made by build_network knows its tasks"
    return np.empty((0, num_tasks), dtype=np.float32)
