"""Small cohorts whose pictures show what the labels are made of, as training takes them.

Causal: age and sex, seen clearly, move four factors seen faintly. Graded: all kinds of task, each with a part of the
picture.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from sepl.data.dataset.dataset import Photographs
from sepl.data.dataset.scaling import LabelScaler
from sepl.data.imaging.photograph import ImageSpec
from sepl.data.patients.index import index_patients
from sepl.tasks import BUILT_IN_TASKS, Task, TaskTable
from sepl.training.input.batches import TrainingData, TrainSet, ValidationSet
from sepl.training.input.pixels import MappedPixels
from sepl.training.probe.data import ProbeData

CAUSE_OF = {"height": "sex", "creatinine": "sex", "sbp": "age", "bun": "age"}
TASKS = TaskTable.of([BUILT_IN_TASKS[name] for name in ("sex", "age", *CAUSE_OF)])
_SCALES = np.array([1.0, 15.0, 10.0, 0.2, 15.0, 4.0])
_MEANS = np.array([0.0, 50.0, 165.0, 0.9, 120.0, 14.0])

GRADE = Task(name="grade", kind="ordinal", unit="", label="Grade", levels=("none", "mild", "moderate", "severe"))
WORST = GRADE.model_copy(update={"name": "worst", "patient": "worst"})
LENS = Task(name="lens", kind="categorical", unit="", label="Lens", levels=("own", "artificial", "none"))
GRADED_TASKS = TaskTable.of([GRADE, BUILT_IN_TASKS["sex"], LENS, BUILT_IN_TASKS["sbp"], WORST])
_LIMITS = [-0.4, 0.4, 1.2]
"""Of the severity that grades are made of."""


def planted_data(seed: int, num_train: int = 500, num_validation: int = 150, size: int = 24) -> TrainingData:
    """The causal one: one photograph a patient; a tenth of the labels are absent."""
    rng = np.random.default_rng(seed)
    labels_NT, pixels_NHWC = _draw_causes(num_train + num_validation, size, rng)
    labels_NT[rng.random(labels_NT.shape) < 0.1] = np.nan
    return data_of(labels_NT, pixels_NHWC, num_train, TASKS, photographs_each=1)


def graded_data(
    seed: int, num_train: int = 160, num_validation: int = 60, size: int = 24, tasks: TaskTable = GRADED_TASKS
) -> TrainingData:
    """The graded one: two photographs a patient, each with a grade of its own; a tenth of the labels are absent."""
    rng = np.random.default_rng(seed)
    labels_NT, pixels_NHWC = _draw_grades(num_train + num_validation, size, rng)
    labels_NT = labels_NT[:, [GRADED_TASKS.index(task.name) for task in tasks]]
    labels_NT[rng.random(labels_NT.shape) < 0.1] = np.nan
    return data_of(labels_NT, pixels_NHWC, num_train, tasks)


def data_of(
    labels_NT: NDArray[np.float64],
    pixels_NHWC: NDArray[np.uint8],
    num_train: int,
    tasks: TaskTable,
    photographs_each: int = 2,
) -> TrainingData:
    """The first photographs train, the others are validated on; so many each are of one patient."""
    scaler, device = LabelScaler.fit(labels_NT[:num_train], tasks), torch.device("cpu")
    scaled_NT = scaler.scale(labels_NT[:num_train])
    present_NT = np.isfinite(scaled_NT)
    patients = np.array([f"P{number // photographs_each}" for number in range(len(labels_NT))])
    train = TrainSet(
        pixels=MappedPixels([pixels_NHWC[:num_train]], device),
        targets_NT=torch.from_numpy(np.where(present_NT, scaled_NT, 0.0)).float(),
        present_NT=torch.from_numpy(present_NT).float(),
        patient_N=torch.from_numpy(index_patients(patients[:num_train])),
    )
    blank = np.full(len(labels_NT) - num_train, "")
    photographs = Photographs(
        ("validation",),
        patients[num_train:],
        patients[num_train:],
        labels_NT[num_train:],
        (pixels_NHWC[num_train:],),
        days=np.full(len(blank), np.nan),
        eyes=blank,
        sites=blank,
        cameras=blank,
    )
    validation = ValidationSet(photographs, photographs.labels_per_patient(tasks))
    return TrainingData(tasks, scaler, ImageSpec(size=pixels_NHWC.shape[1]), "planted", device, train, validation)


def _draw_causes(num: int, size: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
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


def _draw_grades(num: int, size: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """The patient shares sex and pressure; grade and lens are an eye's own."""
    male, pressure = (np.repeat(rng.random(num // 2) < 0.5, 2), np.repeat(rng.normal(size=num // 2), 2))
    severity, lens = rng.normal(size=num) + 0.3 * pressure, rng.integers(0, 3, num)
    grade = np.digitize(severity, _LIMITS).astype(np.float64)
    labels_NT = np.column_stack([grade, male, lens, 120 + 15 * pressure, grade]).astype(np.float64)
    pictures = np.full((num, size, size, 3), 128.0)
    half, third = size // 2, size // 3
    pictures[..., 0] += 40 * severity[:, None, None]
    pictures[:, :half, :, 1] += 50 * np.where(male, 1, -1)[:, None, None]
    pictures[:, half:, :, 1] += 40 * pressure[:, None, None]
    for place in range(3):
        pictures[lens == place, :, place * third : (place + 1) * third, 2] += 90
    pictures += rng.normal(0, 15, pictures.shape)
    return labels_NT, np.clip(pictures, 0, 255).astype(np.uint8)


def planted_features(num_features: int = 12, *, graded: bool = False, num_views: int = 1) -> ProbeData:
    """Mixtures of coarse pixels of `planted_data`, in views that differ a little."""
    make = graded_data if graded else planted_data
    data = make(0, 96, 40)
    assert data.validation is not None
    rng = np.random.default_rng(0)
    train_NF, judged_NF = _coarse(data, num_features, rng)
    return ProbeData(
        tasks=data.tasks,
        scaler=data.scaler,
        views=tuple(train_NF + 0.1 * view * torch.randn(train_NF.shape) for view in range(num_views)),
        targets_NT=data.train.targets_NT,
        present_NT=data.train.present_NT,
        judged_NF=judged_NF,
        validation=data.validation,
    )


def _coarse(data: TrainingData, num_features: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    num_train = data.train.pixels.num_photographs
    (train_NHWC,) = data.train.pixels.batches(torch.arange(num_train)[None])
    assert data.validation is not None
    judged_NHWC = torch.from_numpy(np.concatenate([np.array(shard) for shard in data.validation.photographs.shards]))
    mixing_CF: np.ndarray | None = None
    found = []
    for pixels in (train_NHWC, judged_NHWC):
        cells_NC = pixels.float().unflatten(1, (4, -1)).unflatten(3, (4, -1)).mean(dim=(2, 4)).flatten(1) / 128 - 1
        if mixing_CF is None:
            mixing_CF = rng.normal(0, 0.5, (cells_NC.shape[1], num_features))
        found.append(cells_NC @ torch.from_numpy(mixing_CF).float())
    return found[0], found[1]
