"""Small pictures of refused photographs for people to look at: a few of each reason, whatever the cohort's size."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

MOST_OF_A_REASON = 12
_SIDE = 128  # pixels


def kind_of(reason: str) -> str:
    """A reason without its numbers: "not gradeable: sharpness 0.02 below 0.05" is "not gradeable: sharpness"."""
    kind, _, detail = reason.partition(":")
    first = re.match(r" [A-Za-z_]+", detail) if kind == "not gradeable" else None
    return f"{kind}:{first.group()}" if first else kind


class FewOfEach:
    """Takes the first few of each kind of reason."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def takes(self, reason: str) -> bool:
        kind = kind_of(reason)
        self._counts[kind] += 1
        return self._counts[kind] <= MOST_OF_A_REASON


def first_of_each(indices: Iterable[int], reasons: Sequence[str]) -> list[int]:
    """Of these photographs the first of each kind of reason, in their order."""
    few = FewOfEach()
    return [index for index in indices if few.takes(reasons[index])]


def encode_thumbnail(pixels_HWC: NDArray[np.uint8]) -> bytes:
    """JPEG of RGB pixels."""
    small = cv2.resize(pixels_HWC, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
