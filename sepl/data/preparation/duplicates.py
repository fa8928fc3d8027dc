"""Which photographs of a cohort are the same picture: pixel for pixel, or as copies re-encoded, resized or brightened.

The same picture under two patients would stand on both sides of a split; within a patient it would count twice.

Copies are found without comparing all with all: photographs are sorted by some of the bits of their perceptual hash,
32 times with other bits, and each is compared with its neighbours only. So the time grows as N log N.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sepl.data.imaging.picture_code import SCALE

Link = tuple[int, int, str]
"""Indices i < j of two photographs, and what they share: SAME_PIXELS or SAME_PICTURE."""
SAME_PIXELS = "same pixels"
SAME_PICTURE = "same picture"

MAX_DISTANCE = 0.36
"""Between the signatures of two copies, of 2 at most, among up to 2,000 photographs: there the nearest two different
ones of 1,800 are 0.39 apart, and 98 of 100 copies nearer than 0.33. See `_max_distance`."""
MAX_BITS = 12
"""Between the perceptual hashes of two copies; their signatures decide."""

_NUM_SORTS = 32
_BITS = 18  # of 64 by which a sort brings copies together: all but surely within 32 sorts when 6 bits differ
_NEIGHBOURS = 64  # compared in a sort; pictures that share all 18 bits with more are found in another sort


def find_duplicates(
    sha256: Sequence[str], perceptual_N: NDArray[np.uint64], signatures_NC: NDArray[np.int8]
) -> tuple[Link, ...]:
    """The copies among N photographs, ordered, the same whatever the machine.

    Found are copies with changed light, size or up to 2 % of cropping. Of many with the same pixels, each is linked
    with the first.

    Args:
        sha256: Of each photograph's pixels.
        perceptual_N: Hashes of `sepl.data.imaging.picture_code`; 0 of a picture without anything to compare.
        signatures_NC: Signatures (N, 128) of the same.
    """
    links: list[Link] = [(i, j, SAME_PIXELS) for i, j in _same_pixels(sha256)]
    copies = {j for _, j, _ in links}
    rest = np.array([index for index in range(len(sha256)) if index not in copies], np.int64)
    rest = rest[perceptual_N[rest] != 0]
    pairs = _same_pictures(perceptual_N[rest], signatures_NC[rest])
    return tuple(sorted(links + [(int(rest[i]), int(rest[j]), SAME_PICTURE) for i, j in pairs]))


def _same_pixels(sha256: Sequence[str]) -> Iterator[tuple[int, int]]:
    first: dict[str, int] = {}
    for index, digest in enumerate(sha256):
        if first.setdefault(digest, index) != index:
            yield first[digest], index


def _same_pictures(perceptual_N: NDArray[np.uint64], signatures_NC: NDArray[np.int8]) -> list[tuple[int, int]]:
    limit = _max_distance(len(perceptual_N))
    rng = np.random.default_rng(0)  # which bits are taken together is fixed
    pairs: set[tuple[int, int]] = set()
    for _ in range(_NUM_SORTS):
        mask = np.bitwise_or.reduce(np.uint64(1) << rng.choice(64, _BITS, replace=False).astype(np.uint64))
        for i, j in _neighbours(perceptual_N, mask):
            near = _distances(signatures_NC, i, j) <= limit
            low, high = np.minimum(i, j)[near], np.maximum(i, j)[near]
            pairs.update(zip(low.tolist(), high.tolist(), strict=True))
    return sorted(pairs)


def _max_distance(number: int) -> float:
    """Tighter for more photographs, among which look-alikes are nearer.

    Pairs within a distance grow as its power 16 (measured on 1,800 photographs); so the limit falls as number^(-1/16)
    for the share of photographs with a false copy to stay as it is. Among a million it is 0.24, which still finds
    what was re-encoded, resized or brightened, but only three in four of what was cropped.
    """
    return MAX_DISTANCE * min(1.0, (2000 / max(number, 1)) ** (1 / 16))


def _neighbours(
    perceptual_N: NDArray[np.uint64], mask: np.uint64
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of indices whose hashes agree in the mask's bits and differ in `MAX_BITS` at most."""
    keys_N = perceptual_N & mask
    order_N = np.lexsort((perceptual_N, keys_N))
    hashes_N, keys_N = perceptual_N[order_N], keys_N[order_N]
    start_M = np.arange(len(order_N))
    for step in range(1, _NEIGHBOURS + 1):
        start_M = start_M[: np.searchsorted(start_M, len(order_N) - step)]
        start_M = start_M[keys_N[start_M] == keys_N[start_M + step]]
        if not len(start_M):
            return
        near = np.bitwise_count(hashes_N[start_M] ^ hashes_N[start_M + step]) <= MAX_BITS
        yield order_N[start_M[near]], order_N[start_M[near] + step]


def _distances(signatures_NC: NDArray[np.int8], i: NDArray[np.int64], j: NDArray[np.int64]) -> NDArray[np.float32]:
    difference = signatures_NC[i].astype(np.float32) - signatures_NC[j]
    return np.linalg.norm(difference, axis=1) / SCALE
