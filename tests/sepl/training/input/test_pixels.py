import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sepl.training.input.pixels import MappedPixels, ResidentPixels, open_pixels

CPU = torch.device("cpu")


def _shards(*lengths: int) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    shards = [rng.integers(0, 256, (length, 4, 4, 3), dtype=np.uint8) for length in lengths]
    for shard in shards:
        shard.flags.writeable = False  # as a map is
    return shards


@pytest.mark.parametrize("lengths", [(10,), (3, 7), (1, 8, 1), (4, 0, 6)])
@pytest.mark.parametrize("source", [MappedPixels, ResidentPixels])
def test_batches_are_the_photographs_of_their_rows(
    source: type[MappedPixels] | type[ResidentPixels], lengths: tuple[int, ...]
) -> None:
    shards = _shards(*lengths)
    order_SB = torch.randperm(10)[:9].view(3, 3)

    pixels = source(shards, CPU)
    batches = [batch.numpy() for batch in pixels.batches(order_SB)]

    assert pixels.num_photographs == 10
    np.testing.assert_array_equal(np.stack(batches), np.concatenate(shards)[order_SB.numpy()])


def test_a_cpu_reads_maps_in_place() -> None:
    assert isinstance(open_pixels(_shards(3), CPU), MappedPixels)


@pytest.mark.gpu
def test_a_gpu_with_room_holds_the_pixels_and_one_without_gets_them_batch_by_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device, shards = torch.device("cuda"), _shards(40, 60)
    order_SB = torch.randperm(100)[:96].view(12, 8)
    resident = open_pixels(shards, device)
    monkeypatch.setattr("sepl.training.input.pixels.RESIDENT_SHARE", 0.0)
    mapped = open_pixels(shards, device)

    from_memory = torch.stack(list(resident.batches(order_SB)))
    from_maps = torch.stack([batch.clone() for batch in mapped.batches(order_SB)])

    assert isinstance(resident, ResidentPixels)
    assert isinstance(mapped, MappedPixels)
    assert torch.equal(from_memory, from_maps)
    np.testing.assert_array_equal(from_maps.cpu().numpy(), np.concatenate(shards)[order_SB.numpy()])
