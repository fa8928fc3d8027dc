"""Small pictures of refused photographs for people to look at: few of each group, whatever the cohort's size."""

from collections import Counter

import cv2
import numpy as np
from numpy.typing import NDArray

from sepl.data.imaging.reasons import Refusal
from sepl.data.preparation.facts import Facts

MOST_OF_A_REASON = 12
_SIDE = 128  # pixels


class FewOfEach:
    """Takes the first few of each group."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def takes(self, refusal: Refusal) -> bool:
        self._counts[refusal.group] += 1
        return self._counts[refusal.group] <= MOST_OF_A_REASON


def first_of_each(facts: Facts) -> list[int]:
    """Of the photographs that were decoded and refused the first of each group, in their order."""
    few = FewOfEach()
    rows = zip(facts.refusals, facts.is_decoded.tolist(), strict=True)
    return [i for i, (refusal, is_decoded) in enumerate(rows) if refusal and is_decoded and few.takes(refusal)]


def encode_thumbnail(pixels_HWC: NDArray[np.uint8]) -> bytes:
    """JPEG of RGB pixels."""
    small = cv2.resize(pixels_HWC, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
