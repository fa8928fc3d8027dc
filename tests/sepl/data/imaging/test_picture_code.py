"""A copy has nearly the code of its original, another photograph has not."""

import numpy as np
import pytest

from sepl.data.imaging.photograph import ImageSpec, read_photograph
from sepl.data.imaging.picture_code import NUM_WAVES, SCALE, encode_thumbnail
from sepl.data.imaging.quality import thumbnail
from sepl.simulation.cohort import simulate_patient

SPEC = ImageSpec(size=224)


def distance(one, other):
    difference = np.frombuffer(one.signature, np.int8).astype(float) - np.frombuffer(other.signature, np.int8)
    return np.linalg.norm(difference) / SCALE


@pytest.fixture(scope="module")
def codes():
    files = [file for index in range(12) for file in simulate_patient(index, 256, 3).files]
    return [encode_thumbnail(thumbnail(read_photograph(file, SPEC))) for file in files]


def test_a_signature_is_a_direction(codes):
    for code in codes:
        values = np.frombuffer(code.signature, np.int8).astype(float)
        assert len(values) == NUM_WAVES
        assert np.linalg.norm(values) == pytest.approx(SCALE, rel=0.02)
        assert 0 < code.perceptual < 2**64


def test_different_photographs_are_far_apart(codes):
    distances = [distance(one, other) for i, one in enumerate(codes) for other in codes[:i]]

    assert min(distances) > 0.5


@pytest.mark.parametrize("gain", [0.6, 1.3])
@pytest.mark.parametrize("offset", [0, 15])
def test_light_and_contrast_hardly_matter(gain, offset):
    pixels = read_photograph(simulate_patient(0, 256, 3).files[0], SPEC)
    inside = pixels.max(axis=2, keepdims=True) > 20
    changed = np.where(inside, np.clip(pixels * gain + offset, 0, 255), pixels).astype(np.uint8)

    assert distance(encode_thumbnail(thumbnail(changed)), encode_thumbnail(thumbnail(pixels))) < 0.25


def test_a_mirrored_photograph_is_another_picture():
    pixels = read_photograph(simulate_patient(0, 256, 3).files[0], SPEC)

    assert distance(encode_thumbnail(thumbnail(pixels[:, ::-1].copy())), encode_thumbnail(thumbnail(pixels))) > 0.8


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_empty_picture_has_no_code(level):
    code = encode_thumbnail(thumbnail(np.full((224, 224, 3), level, np.uint8)))

    assert code.perceptual == 0
    assert not any(code.signature)


def test_the_working_size_hardly_matters():
    file = simulate_patient(1, 600, 3).files[1]
    codes = [encode_thumbnail(thumbnail(read_photograph(file, ImageSpec(size=size)))) for size in (112, 224, 299, 512)]

    assert max(distance(code, codes[0]) for code in codes) < 0.2
