import numpy as np
import pytest

from sepl.simulation.lesions import paint_lesions
from sepl.simulation.retina import draw_anatomy

LESIONS = ("drusen", "exudates", "haemorrhages")
NONE = dict.fromkeys(LESIONS, -20.0)
"""So far below the mean that not one spot is left."""


def painted(**shown: float) -> np.ndarray:
    """Of a grey canvas (3, 96, 96)."""
    anatomy = draw_anatomy(np.random.default_rng(0), 0.0)
    return paint_lesions(np.full((3, 96, 96), 0.5, np.float32), anatomy, {**NONE, **shown}, np.random.default_rng(1))


def test_without_any_lesion_the_canvas_is_as_it_was() -> None:
    assert np.allclose(painted(), 0.5)


@pytest.mark.parametrize("name", LESIONS)
def test_a_rising_channel_adds_spots_and_moves_none(name: str) -> None:
    few, many = (np.abs(painted(**{name: value}) - 0.5).max(axis=0) for value in (-1.0, 2.0))

    assert (many > 0.02).sum() > (few > 0.02).sum() > 0
    assert (many >= few - 1e-6).all()


def test_haemorrhages_darken_and_the_others_brighten() -> None:
    assert painted(haemorrhages=1.0).max() <= 0.5
    for name in ("drusen", "exudates"):
        assert painted(**{name: 1.0}).min() >= 0.5
