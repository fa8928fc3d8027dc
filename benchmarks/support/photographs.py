"""Files that cameras could have written, as many as wanted, no two of one picture, with a cohort file beside them."""

import csv
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sepl.execution.cores import num_cores
from sepl.simulation.cohort import simulate_patient

Picture = NDArray[np.uint8]

_DRAWN_SIZE = 512
_NUM_DRAWN = 24
_SHARE = 0.94  # of the height that the round field takes
_COHORT = """\
name = "benchmark"
table = "labels.csv"
images = "images"

[columns]
image = "image"
patient = "patient"
eye = "eye"

[tasks.age]
column = "age"
"""


def make_cohort(folder: Path, number: int, width: int, height: int, real: Sequence[Path] = ()) -> Path:
    """Writes `number` JPEG files of this size, two a patient; the cohort file.

    They are turned copies of the `real` photographs where there are some, else blends of two simulated ones.
    """
    images = folder / "images"
    images.mkdir(parents=True)
    num_processes = num_cores()
    write = partial(_write_share, images, number, (width, height), tuple(real), num_processes)
    with ProcessPoolExecutor(num_processes, mp_context=get_context("spawn")) as pool:
        list(pool.map(write, range(num_processes)))
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", "patient", "eye", "age"])
        for index in range(number):
            writer.writerow([_name(index), f"P{index // 2:06d}", ("right", "left")[index % 2], 30 + index // 2 % 50])
    (folder / "cohort.toml").write_text(_COHORT, encoding="utf-8")
    return folder / "cohort.toml"


def files_of(cohort_file: Path) -> list[Path]:
    return sorted((cohort_file.parent / "images").iterdir())


def _name(index: int) -> str:
    return f"{index:06d}.jpg"


def _write_share(
    images: Path, number: int, size: tuple[int, int], real: tuple[Path, ...], num_processes: int, process: int
) -> None:
    cv2.setNumThreads(1)  # the processes are the parallelism
    grain = np.random.default_rng(0).normal(0, 2, (2 * size[1], size[0], 1)).astype(np.int8).repeat(3, axis=2)
    bases = [_read(path) for path in real] or _draw()
    for index in range(process, number, num_processes):
        rng = np.random.default_rng([1, index])
        if real:
            turn = 360 * (index // len(bases)) / -(-number // len(bases))
            picture = _turn(bases[index % len(bases)], size, turn)
        else:
            one, other = rng.choice(len(bases), 2, replace=False)
            turns = rng.uniform(0, 360, 2)
            picture = cv2.addWeighted(
                _turn(bases[one], size, turns[0]), 0.5, _turn(bases[other], size, turns[1]), 0.5, 0
            )
        start = rng.integers(size[1])
        picture = cv2.add(picture, grain[start : start + size[1]], dtype=cv2.CV_8U)
        cv2.imwrite(str(images / _name(index)), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])


def _read(path: Path) -> Picture:
    picture = cv2.imread(str(path))
    assert picture is not None, path
    return np.asarray(picture, np.uint8)


def _draw() -> list[Picture]:
    files = [simulate_patient(index, _DRAWN_SIZE, 0).files[index % 2] for index in range(_NUM_DRAWN)]
    return [np.asarray(cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR), np.uint8) for file in files]


def _turn(picture: Picture, size: tuple[int, int], degrees: float) -> Picture:
    """The picture turned about its middle, its shorter side as long as the field's diameter."""
    height, width = picture.shape[:2]
    scale = _SHARE * min(size) / min(height, width)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale)
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    return np.asarray(cv2.warpAffine(picture, matrix, size), np.uint8)
