"""Copies are found whatever was done to them, across patients and within; look-alikes are not."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from sepl.data.imaging.photograph import ImageSpec, examine_photograph
from sepl.data.imaging.picture_code import NUM_WAVES, SCALE, encode_thumbnail
from sepl.data.imaging.quality import thumbnail
from sepl.data.preparation.duplicates import SAME_PICTURE, SAME_PIXELS, find_duplicates
from sepl.simulation.cohort import simulate_patient

SPEC = ImageSpec(size=224)


def encode(pixels, quality=92):
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def scale(pixels, factor):
    interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=interpolation)


def crop(pixels, top, left, bottom, right):
    height, width = pixels.shape[:2]
    return pixels[round(top * height) : round((1 - bottom) * height), round(left * width) : round((1 - right) * width)]


COPIES = {
    "re-encoded": lambda pixels: encode(pixels, 50),
    "as PNG": lambda pixels: cv2.imencode(".png", pixels)[1].tobytes(),
    "half the size": lambda pixels: encode(scale(pixels, 0.5)),
    "larger": lambda pixels: encode(scale(pixels, 1.4)),
    "cropped all round": lambda pixels: encode(crop(pixels, 0.02, 0.02, 0.02, 0.02)),
    "cropped at a corner": lambda pixels: encode(crop(pixels, 0.02, 0.02, 0, 0)),
    "brighter": lambda pixels: encode(np.clip(pixels * 1.15, 0, 255).astype(np.uint8)),
    "darker": lambda pixels: encode((pixels * 0.85).astype(np.uint8)),
    "gamma": lambda pixels: encode((255 * (pixels / 255) ** 0.8).astype(np.uint8)),
    "padded": lambda pixels: encode(cv2.copyMakeBorder(pixels, 10, 10, 60, 60, cv2.BORDER_CONSTANT)),
}


def examine(sources):
    """SHA-256, hashes and signatures of files."""
    seen = [examine_photograph(source, SPEC) for source in sources]
    signatures = np.stack([np.frombuffer(photograph.signature, np.int8) for photograph in seen])
    hashes = np.array([photograph.perceptual for photograph in seen], np.uint64)
    return [photograph.sha256 for photograph in seen], hashes, signatures


def links_of(sources):
    return find_duplicates(*examine(sources))


def groups_of(links, number):
    """Photographs connected by links, as sets."""
    ends = np.array([link[:2] for link in links], np.int64).reshape(-1, 2)
    joined = coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(number, number))
    labels_N = connected_components(joined, directed=False)[1]
    groups = [frozenset(np.flatnonzero(labels_N == label).tolist()) for label in np.unique(labels_N)]
    return {group for group in groups if len(group) > 1}


@pytest.fixture(scope="module")
def originals():
    return [file for index in range(8) for file in simulate_patient(index, 256, 4).files]


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_is_found_and_nothing_else(kind, originals):
    copies = [COPIES[kind](cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)) for file in originals]
    number = len(originals)

    links = links_of([*originals, *copies])

    expected = SAME_PIXELS if kind == "as PNG" else SAME_PICTURE
    assert links == tuple((index, index + number, expected) for index in range(number))


def test_the_same_file_is_linked_with_its_first(originals):
    links = links_of([*originals, originals[2], originals[2]])

    assert links == ((2, 16, SAME_PIXELS), (2, 17, SAME_PIXELS))


def test_links_are_ordered_and_say_what_is_shared(originals):
    pixels = cv2.imdecode(np.frombuffer(originals[0], np.uint8), cv2.IMREAD_COLOR)

    links = links_of([originals[0], originals[1], originals[0], encode(pixels, 80), originals[1]])

    assert links == ((0, 2, SAME_PIXELS), (0, 3, SAME_PICTURE), (1, 4, SAME_PIXELS))


def test_empty_pictures_are_not_copies_of_each_other():
    assert find_duplicates(["a", "b"], np.zeros(2, np.uint64), np.zeros((2, NUM_WAVES), np.int8)) == ()


def test_no_photograph_at_all_has_no_duplicates():
    assert find_duplicates([], np.array([], np.uint64), np.zeros((0, NUM_WAVES), np.int8)) == ()


def test_the_hash_is_that_of_the_photograph(originals):
    seen = examine_photograph(originals[0], SPEC)

    assert encode_thumbnail(thumbnail(seen.pixels_HWC)).perceptual == seen.perceptual


def pack(waves_NC):
    """Hashes and signatures of waves."""
    units_NC = waves_NC / np.linalg.norm(waves_NC, axis=1, keepdims=True)
    signs = np.packbits(waves_NC[:, :64] > 0, axis=1)
    return signs.view(">u8").ravel().astype(np.uint64), np.clip(np.rint(units_NC * SCALE), -127, 127).astype(np.int8)


@given(seed=st.integers(0, 2**32 - 1), number=st.integers(2, 60), num_copies=st.integers(1, 20))
def test_copies_are_found_wherever_they_stand(seed, number, num_copies):
    rng = np.random.default_rng(seed)
    waves_NC = rng.standard_normal((number, NUM_WAVES))
    source = rng.integers(0, number, num_copies)
    copies_NC = waves_NC[source] + 0.12 * rng.standard_normal((num_copies, NUM_WAVES))
    order = rng.permutation(number + num_copies)
    hashes, signatures = pack(np.concatenate([waves_NC, copies_NC])[order])
    picture = np.concatenate([np.arange(number), source])[order]

    links = find_duplicates([str(i) for i in order], hashes, signatures)

    wanted = [np.flatnonzero(picture == one) for one in np.unique(source)]
    assert groups_of(links, len(order)) == {frozenset(members.tolist()) for members in wanted}


@pytest.mark.slow
def test_copies_are_found_among_very_many():
    rng = np.random.default_rng(0)
    number, num_copies = 200_000, 300
    waves_NC = rng.standard_normal((number, NUM_WAVES), dtype=np.float32)
    source = rng.choice(number, num_copies, replace=False)
    copies_NC = waves_NC[source] + 0.15 * rng.standard_normal((num_copies, NUM_WAVES), dtype=np.float32)
    hashes, signatures = pack(np.concatenate([waves_NC, copies_NC]))

    links = find_duplicates([str(i) for i in range(len(hashes))], hashes, signatures)

    wanted = {(int(index), number + copy) for copy, index in enumerate(source)}
    assert {link[:2] for link in links} <= wanted
    assert len(links) > 0.99 * num_copies


@pytest.mark.real_data
def test_different_real_photographs_are_not_joined_and_their_copies_are():
    files = sorted((Path(os.environ["SEPL_REAL_DATA"]) / "odir_dev" / "images").iterdir())
    originals = [path.read_bytes() for path in files]
    number, chosen = len(originals), range(0, len(originals), 30)
    kinds = [name for _ in chosen for name in COPIES]
    decoded = [cv2.imdecode(np.frombuffer(originals[index], np.uint8), cv2.IMREAD_COLOR) for index in chosen]
    copies = [copy(pixels) for pixels in decoded for copy in COPIES.values()]

    sha256, hashes, signatures = examine([*originals, *copies])
    links = find_duplicates(sha256, hashes, signatures)

    alone = [link for link in links if link[1] < number]
    group_of = {index: group for group in groups_of(links, len(sha256)) for index in group}
    joined = [
        index in group_of.get(number + copy, ()) for copy, index in enumerate(index for index in chosen for _ in COPIES)
    ]
    assert alone == []
    assert np.mean(joined) > 0.98
    for kind in COPIES:
        assert np.mean([hit for hit, name in zip(joined, kinds, strict=True) if name == kind]) > 0.9, kind
