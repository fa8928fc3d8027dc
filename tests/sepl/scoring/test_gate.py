"""What cannot be a fundus photograph is rejected with a reason; real photographs are not."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import draw_fundus

from sepl.data.imaging.photograph import ImageSpec, read_photograph, read_photograph_file
from sepl.scoring.gate import reason_to_reject

SIZE = 96
RNG = np.random.default_rng(0)


def _flat(*colour: int) -> np.ndarray:
    return np.full((SIZE, SIZE, 3), colour, np.uint8)


def _page_of_text() -> np.ndarray:
    page = _flat(255, 255, 255)
    for line in range(8, SIZE, 10):
        cv2.putText(page, "The quick brown fox", (2, line), cv2.FONT_HERSHEY_SIMPLEX, 0.3, (0, 0, 0))
    return page


def _sky() -> np.ndarray:
    height = np.linspace(0, 1, SIZE)[:, None, None]
    return np.broadcast_to(np.array([90, 140, 220]) * (0.7 + 0.3 * height), (SIZE, SIZE, 3)).astype(np.uint8)


def _grey_gradient() -> np.ndarray:
    return np.broadcast_to(np.linspace(0, 255, SIZE)[None, :, None], (SIZE, SIZE, 3)).astype(np.uint8)


def _grey_disc() -> np.ndarray:
    rows, columns = np.mgrid[:SIZE, :SIZE] / (SIZE - 1) * 2 - 1
    radius = np.hypot(rows, columns)
    return np.where(radius < 0.95, 200 - 90 * radius, 0)[..., None].repeat(3, axis=2).astype(np.uint8)


def _warm_room() -> np.ndarray:
    """Wood and skin tones beside a window: red for the most part, without a dark surround."""
    room = _flat(190, 140, 100)
    room[: SIZE // 2, : SIZE // 3] = (190, 215, 235)
    return cv2.GaussianBlur(room, (15, 15), 0)


NOT_FUNDUS = {
    "black": (_flat(0, 0, 0), "covers 0%"),
    "white": (_flat(255, 255, 255), "too bright"),
    "flat red": (_flat(200, 80, 40), "no contrast"),
    "noise": (RNG.integers(0, 256, (SIZE, SIZE, 3), np.uint8), "not red"),
    "red noise": (RNG.integers(30, 256, (SIZE, SIZE, 1), np.uint8) // np.array([1, 2, 4], np.uint8), "too rough"),
    "page of text": (_page_of_text(), "not red"),
    "blue sky": (_sky(), "not red"),
    "grey gradient": (_grey_gradient(), "not red"),
    "grey disc on black": (_grey_disc(), "not red"),
    "warm room": (_warm_room(), "not red"),
    "small red spot": (np.pad(_flat(200, 80, 40)[:20, :20], ((0, 76), (0, 76), (0, 0))), "covers"),
}


@pytest.mark.parametrize("name", NOT_FUNDUS)
def test_what_is_no_fundus_photograph_is_rejected_with_its_reason(name: str) -> None:
    pixels, reason = NOT_FUNDUS[name]

    found = reason_to_reject(pixels)

    assert found is not None
    assert found.startswith("not a fundus photograph: ")
    assert reason in found


@pytest.mark.parametrize("image_size", [32, 64, 224])
@pytest.mark.parametrize("seed", range(8))
def test_a_drawn_fundus_passes_at_every_image_size(seed: int, image_size: int) -> None:
    pixels = read_photograph(draw_fundus(seed, size=256), ImageSpec(size=image_size))

    assert reason_to_reject(pixels) is None


def test_a_view_cropped_out_of_the_field_passes() -> None:
    pixels = read_photograph(draw_fundus(size=400), ImageSpec(size=200))

    assert reason_to_reject(np.ascontiguousarray(pixels[50:150, 50:150])) is None


@pytest.mark.real_data
def test_at_least_99_per_cent_of_real_photographs_pass() -> None:
    paths = sorted((Path(os.environ["SEPL_REAL_DATA"]) / "odir_dev" / "images").glob("*.jpg"))

    reasons = [reason_to_reject(read_photograph_file(path, ImageSpec(size=128))) for path in paths]

    assert len(paths) >= 1800
    assert sum(reason is None for reason in reasons) >= 0.99 * len(paths)
