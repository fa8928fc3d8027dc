"""The photographs of a report: a contact sheet for each camera, from the pixels that a network will see."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sepl.data.dataset.shards import read_pixels
from sepl.data.report.counts import Groups, PreparedLabels
from sepl.storage import Location

SHEET_PHOTOGRAPHS = 24
_NUM_COLUMNS = 8
_SIDE = 128
_GAP = 4
_MOST_SHARDS = 4  # of a camera: a shard in an object store travels whole


@dataclass(frozen=True)
class ContactSheet:
    """Some photographs of one camera."""

    camera: str
    num_shown: int
    num_photographs: int
    jpeg: bytes


def contact_sheets(
    labels: PreparedLabels, cameras: Groups | None, shards: Location, image_size: int
) -> Iterator[ContactSheet]:
    """A sheet for each camera, or a single one; photographs evenly spread over up to four of its shards."""
    files, file_N = labels.codes("shard")
    row_N = labels.numbers("row").astype(np.int64)
    names = cameras.names if cameras else ("",)
    code_N = cameras.code_N if cameras else np.zeros(labels.num_photographs, np.int64)
    for code, name in enumerate(names):
        of_camera = np.flatnonzero(code_N == code)
        chosen = _choose(of_camera, file_N[of_camera])
        pictures = list(_small_pictures(chosen, files, file_N, row_N, shards, image_size))
        yield ContactSheet(name, len(chosen), len(of_camera), _encode(pictures))


def _choose(of_camera: NDArray[np.int64], file_M: NDArray[np.int64]) -> NDArray[np.int64]:
    """Photographs (at most 24) evenly spread over evenly spread shards."""
    wanted = np.unique(file_M)
    wanted = wanted[_evenly(len(wanted), _MOST_SHARDS)]
    within = of_camera[np.isin(file_M, wanted)]
    return within[_evenly(len(within), SHEET_PHOTOGRAPHS)]


def _evenly(num: int, most: int) -> NDArray[np.int64]:
    return np.arange(num) if num <= most else np.linspace(0, num - 1, most).round().astype(np.int64)


def _small_pictures(
    chosen: NDArray[np.int64],
    files: list[str],
    file_N: NDArray[np.int64],
    row_N: NDArray[np.int64],
    shards: Location,
    image_size: int,
) -> Iterator[NDArray[np.uint8]]:
    for code in dict.fromkeys(file_N[chosen].tolist()):
        pixels_NHWC = read_pixels(shards / files[code], image_size)
        for row in row_N[chosen[file_N[chosen] == code]].tolist():
            shape = cv2.INTER_AREA if image_size > _SIDE else cv2.INTER_CUBIC
            yield np.asarray(cv2.resize(pixels_NHWC[row], (_SIDE, _SIDE), interpolation=shape), np.uint8)


def _encode(pictures: list[NDArray[np.uint8]]) -> bytes:
    """JPEG of RGB pictures in rows of eight."""
    step = _SIDE + _GAP
    num_columns = min(_NUM_COLUMNS, max(1, len(pictures)))
    num_rows = -(-len(pictures) // num_columns)
    sheet = np.full((num_rows * step - _GAP, _NUM_COLUMNS * step - _GAP, 3), 255, np.uint8)
    for index, picture in enumerate(pictures):
        top, left = index // num_columns * step, index % num_columns * step
        sheet[top : top + _SIDE, left : left + _SIDE] = picture
    return cv2.imencode(".jpg", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()
