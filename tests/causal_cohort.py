"""A small simulated cohort whose causal links are known: age and sex, seen clearly, move four factors seen faintly."""

import numpy as np
import torch
from numpy.typing import NDArray

from sepl.data.dataset.dataset import Photographs
from sepl.data.dataset.scaling import LabelScaler
from sepl.data.imaging.photograph import ImageSpec
from sepl.tasks import BUILT_IN_TASKS, TaskTable
from sepl.training.input.batches import TrainingData, TrainSet, ValidationSet
from sepl.training.input.pixels import MappedPixels

CAUSE_OF = {"height": "sex", "creatinine": "sex", "sbp": "age", "bun": "age"}
TASKS = TaskTable.of([BUILT_IN_TASKS[name] for name in ("sex", "age", *CAUSE_OF)])
_SCALES = np.array([1.0, 15.0, 10.0, 0.2, 15.0, 4.0])
_MEANS = np.array([0.0, 50.0, 165.0, 0.9, 120.0, 14.0])


def planted_data(seed: int, num_train: int = 500, num_validation: int = 150, size: int = 24) -> TrainingData:
    """One photograph a patient; a tenth of the labels are absent."""
    rng = np.random.default_rng(seed)
    labels_NT, pixels_NHWC = _draw(num_train + num_validation, size, rng)
    labels_NT[rng.random(labels_NT.shape) < 0.1] = np.nan
    scaler = LabelScaler.fit(labels_NT[:num_train], TASKS)
    scaled_NT = scaler.scale(labels_NT[:num_train])
    present_NT = np.isfinite(scaled_NT)
    device = torch.device("cpu")
    train = TrainSet(
        pixels=MappedPixels([pixels_NHWC[:num_train]], device),
        targets_NT=torch.from_numpy(np.where(present_NT, scaled_NT, 0.0)).float(),
        present_NT=torch.from_numpy(present_NT).float(),
        patient_N=torch.arange(num_train),
    )
    names = np.array([f"P{number}" for number in range(num_validation)])
    blank = np.full(num_validation, "")
    photographs = Photographs(
        ("validation",),
        names,
        names,
        labels_NT[num_train:],
        (pixels_NHWC[num_train:],),
        days=np.full(num_validation, np.nan),
        eyes=blank,
        sites=blank,
        cameras=blank,
    )
    validation = ValidationSet(photographs, labels_NT[num_train:])
    return TrainingData(TASKS, scaler, ImageSpec(size=size), "planted", device, train, validation)


def _draw(num: int, size: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    male, age = rng.random(num) < 0.5, rng.normal(size=num)
    causes = {"sex": np.where(male, 1.0, -1.0), "age": age}
    own = {name: rng.normal(size=num) for name in CAUSE_OF}
    effects = [0.8 * causes[cause] + 0.6 * own[name] for name, cause in CAUSE_OF.items()]
    labels_NT = np.column_stack([male, age, *effects]) * _SCALES + _MEANS
    pictures = np.full((num, size, size, 3), 128.0)
    half = size // 2
    pictures[..., 0] += 35 * age[:, None, None]
    pictures[:, :half, :, 1] += 50 * causes["sex"][:, None, None]
    places = [(slice(half, None), slice(half), 1), (slice(half, None), slice(half, None), 1)]
    places += [(slice(half), slice(None), 2), (slice(half, None), slice(None), 2)]
    for (rows, columns, colour), values in zip(places, own.values(), strict=True):
        pictures[:, rows, columns, colour] += 15 * values[:, None, None]
    pictures += rng.normal(0, 25, pictures.shape)
    return labels_NT, np.clip(pictures, 0, 255).astype(np.uint8)
