import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from sepl.data.imaging.photograph import IMAGENET
from sepl.models.pixels import to_input
from sepl.training.input import augment
from sepl.training.input.augment import Augmenter, Warp, apply_warp


def _pixels(num_photographs: int = 8, size: int = 32) -> Tensor:
    return torch.randint(0, 256, (num_photographs, size, size, 3), dtype=torch.uint8)


def _augmenter(strength: float, seed: int = 0) -> Augmenter:
    return Augmenter(IMAGENET, strength, torch.Generator().manual_seed(seed))


def _plain_warp(rotation_B22: Tensor) -> Warp:
    num_photographs = len(rotation_B22)
    return Warp(rotation_B22, torch.eye(3).repeat(num_photographs, 1, 1), torch.zeros(num_photographs, 3))


def test_strength_zero_is_the_input_that_scoring_sees() -> None:
    pixels_BHWC = _pixels()

    images_BCHW = _augmenter(0.0)(pixels_BHWC)

    torch.testing.assert_close(images_BCHW, to_input(pixels_BHWC, IMAGENET.mean, IMAGENET.std), atol=1e-5, rtol=0)


def test_the_same_seed_augments_alike_and_the_next_batch_differs() -> None:
    pixels_BHWC = _pixels()
    augmenter = _augmenter(1.0, seed=5)

    first, second = augmenter(pixels_BHWC), augmenter(pixels_BHWC)

    assert torch.equal(first, _augmenter(1.0, seed=5)(pixels_BHWC))
    assert not torch.allclose(first, second)


def test_a_faint_augmentation_is_one_of_the_four_flips_and_all_four_occur() -> None:
    pixels_BHWC = _pixels(1).repeat(64, 1, 1, 1)
    plain_CHW = to_input(pixels_BHWC[:1], IMAGENET.mean, IMAGENET.std)[0]
    flips = [plain_CHW, plain_CHW.flip(2), plain_CHW.flip(1), plain_CHW.flip(1, 2)]

    images_BCHW = _augmenter(1e-9)(pixels_BHWC)

    seen = [
        [index for index, flip in enumerate(flips) if torch.allclose(image_CHW, flip, atol=1e-3)]
        for image_CHW in images_BCHW
    ]
    assert all(len(which) == 1 for which in seen)
    assert {which[0] for which in seen} == {0, 1, 2, 3}


def test_a_picture_of_one_colour_keeps_one_colour() -> None:
    pixels_BHWC = torch.full((16, 32, 32, 3), 90, dtype=torch.uint8)

    images_BCHW = _augmenter(2.0)(pixels_BHWC)

    torch.testing.assert_close(images_BCHW, images_BCHW[:, :, :1, :1].expand_as(images_BCHW), atol=1e-4, rtol=0)


@pytest.mark.parametrize("degrees", [0, 7, -15, 30, 90])
def test_rotation_equals_opencvs(degrees: float) -> None:
    pixels_BHWC = torch.from_numpy(cv2.GaussianBlur(_pixels(1, 64)[0].numpy(), (0, 0), 3))[None]
    angle = np.radians(degrees)
    matrix = torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], dtype=torch.float32)

    image_HWC = apply_warp(pixels_BHWC, _plain_warp(matrix[None]))[0].permute(1, 2, 0).numpy()

    centre = (31.5, 31.5)
    turned = cv2.warpAffine(
        pixels_BHWC[0].numpy().astype(np.float32),
        cv2.getRotationMatrix2D(centre, degrees, 1.0),
        (64, 64),
        borderMode=cv2.BORDER_REPLICATE,
    )
    inside = np.hypot(*(np.mgrid[:64, :64] - 31.5)) < 30
    assert np.abs(image_HWC - turned)[inside].max() < 1.0  # OpenCV rounds places to 1/32 pixel


def test_each_photograph_is_changed_by_itself_whatever_the_size_of_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels_BHWC = _pixels(7)
    whole = _augmenter(1.0)(pixels_BHWC)

    monkeypatch.setattr(augment, "CPU_CHUNK_PIXELS", 2 * 32 * 32)
    in_chunks = _augmenter(1.0)(pixels_BHWC)

    torch.testing.assert_close(in_chunks, whole)


@pytest.mark.parametrize("strength", [0.5, 1.0, 2.0])
def test_colour_changes_stay_as_mild_as_the_strength_says(strength: float) -> None:
    pixels_BHWC = torch.full((256, 16, 16, 3), 128, dtype=torch.uint8)

    images_BCHW = _augmenter(strength)(pixels_BHWC)

    levels_BC = images_BCHW[:, :, 0, 0] * torch.tensor(IMAGENET.std) + torch.tensor(IMAGENET.mean)
    changes_B = (levels_BC.mean(dim=1) - 128 / 255).abs()
    assert 0.03 * strength < changes_B.max() < 0.12 * strength


@pytest.mark.gpu
def test_augmentation_on_a_gpu_waits_for_nothing() -> None:
    generator = torch.Generator("cuda").manual_seed(0)
    augmenter = Augmenter(IMAGENET, 1.0, generator)
    pixels_BHWC = _pixels().cuda()

    torch.cuda.set_sync_debug_mode("error")
    try:
        images_BCHW = augmenter(pixels_BHWC)
    finally:
        torch.cuda.set_sync_debug_mode("default")

    assert images_BCHW.is_contiguous(memory_format=torch.channels_last)
