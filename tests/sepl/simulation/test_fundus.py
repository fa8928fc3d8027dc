import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from sepl.simulation.camera import CAMERAS, encode_jpeg
from sepl.simulation.channels import CHANNEL_NAMES
from sepl.simulation.fundus import EYES, Eye, draw_photograph


def _photograph(
    shown: dict[str, float] | None = None, eye: Eye = "right", size: int = 128, camera: int = 0, seed: int = 0
) -> NDArray:
    """Grey levels (size, size, 3), red first; channels not given are 0."""
    values_C = np.array([(shown or {}).get(name, 0.0) for name in CHANNEL_NAMES])
    picture = draw_photograph(values_C, eye, CAMERAS[camera], 0.0, size, np.random.default_rng(seed))
    return picture[..., ::-1].astype(np.float32)


@pytest.mark.parametrize("name", CHANNEL_NAMES)
def test_every_channel_can_be_seen_in_a_small_picture(name: str) -> None:
    low, high = (
        cv2.resize(_photograph({name: value}), (32, 32), interpolation=cv2.INTER_AREA) for value in (-1.5, 1.5)
    )

    assert np.abs(high - low).mean() > 0.5  # grey levels; all else is drawn alike
    assert np.abs(high - low).max() > 20


def test_a_yellow_lens_takes_blue_more_than_green_and_leaves_red() -> None:
    clear, yellow = (_photograph({"lens_yellowing": value}).mean(axis=(0, 1)) for value in (0.0, 2.0))

    red, green, blue = yellow / clear
    assert blue < green < red
    assert red > 0.95


def test_haemorrhages_only_darken_and_exudates_brighten() -> None:
    usual = _photograph()

    assert (_photograph({"haemorrhages": 2.5})[..., 1] - usual[..., 1]).min() < -30
    assert (_photograph({"exudates": 2.5})[..., 1] - usual[..., 1]).max() > 30


@pytest.mark.parametrize("seed", range(4))
def test_the_disc_lies_on_the_nasal_side_of_either_eye(seed: int) -> None:
    for eye in EYES:
        blurred = cv2.GaussianBlur(_photograph(eye=eye, seed=seed)[..., 2], (0, 0), 4)
        column = np.unravel_index(blurred.argmax(), blurred.shape)[1]

        assert (column > 64) == (eye == "right")


@pytest.mark.parametrize("camera", range(len(CAMERAS)))
def test_it_is_black_around_the_field_of_view(camera: int) -> None:
    picture = _photograph(camera=camera, size=200)
    y, x = np.mgrid[-1:1:200j, -1:1:200j]

    assert picture[np.hypot(x, y) > CAMERAS[camera].field_radius + 0.02].max() == 0
    assert picture[np.abs(y) > CAMERAS[camera].cut + 0.02].max(initial=0) == 0
    assert picture[np.hypot(x, y) < 0.7].min(axis=0)[0] > 10


def test_an_eye_is_the_same_eye_at_any_size() -> None:
    small, large = _photograph(size=96), _photograph(size=384)

    shrunk = cv2.resize(large, (96, 96), interpolation=cv2.INTER_AREA)
    assert np.abs(small - shrunk).mean() < 4


def test_cameras_differ_in_colour_and_compression() -> None:
    files = [encode_jpeg(_photograph(camera=index).astype(np.uint8), camera) for index, camera in enumerate(CAMERAS)]

    assert len({len(data) for data in files}) == len(CAMERAS)
    tones = [_photograph(camera=index)[40:90, 40:90].mean(axis=(0, 1)) for index in range(len(CAMERAS))]
    assert np.ptp([tone[2] / tone[0] for tone in tones]) > 0.05
