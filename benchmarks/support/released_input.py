"""Photographs as the released SePL code gives them to its network: decoded, equalised and augmented one by one."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset


class ReleasedPhotographs(Dataset[NDArray[np.uint8]]):
    """Pixels (image_size, image_size, 3) RGB of files: CLAHE at full size, resized to 256/224, cropped, changed."""

    def __init__(self, files: list[Path], image_size: int) -> None:
        self._files = files
        self._image_size = image_size
        self._rng = np.random.default_rng()

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        photograph = cv2.imread(str(self._files[index]))
        assert photograph is not None, f"{self._files[index]} was just written"
        return self._augmented(self._centre_crop(_equalise(photograph)))

    def _augmented(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Exactly one of identity, horizontal flip, vertical flip and rotation by up to 15°."""
        choice = self._rng.integers(4)
        if choice == 3:
            size = self._image_size
            matrix = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), self._rng.uniform(-15, 15), 1.0)
            return np.asarray(cv2.warpAffine(pixels, matrix, (size, size)), np.uint8)
        return np.ascontiguousarray((pixels, pixels[:, ::-1], pixels[::-1])[choice])

    def _centre_crop(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        size = round(self._image_size * 256 / 224)
        inside = slice((size - self._image_size) // 2, (size + self._image_size) // 2)
        resized = cv2.resize(picture, (size, size), interpolation=cv2.INTER_LINEAR)
        return np.asarray(resized[inside, inside], np.uint8)


def _equalise(photograph: NDArray) -> NDArray[np.uint8]:
    """RGB with contrast-limited histogram equalisation of the lightness, at full size."""
    lightness, *colour = cv2.split(cv2.cvtColor(photograph, cv2.COLOR_BGR2LAB))
    equalised = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8)).apply(lightness)
    return np.asarray(cv2.cvtColor(cv2.merge([equalised, *colour]), cv2.COLOR_LAB2RGB), np.uint8)
