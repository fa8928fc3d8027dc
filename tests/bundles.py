"""Small real bundles and photographs for tests of scoring and serving."""

from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from sepl.bundle.conditioning import Conditioning, KnownPattern
from sepl.bundle.format import BundleContent, Intervals, ModelBundle, Provenance, write_bundle
from sepl.config import ModelConfig, TrialConfig
from sepl.data.dataset.scaling import LabelScaler
from sepl.data.imaging.photograph import ImageSpec
from sepl.data.imaging.quality import QualityThresholds
from sepl.metrics import Evaluation, evaluate
from sepl.models.build import build_network
from sepl.tasks import BUILT_IN_TASKS, Task, TaskSplit, TaskTable

TASKS = TaskTable.of(BUILT_IN_TASKS[name] for name in ("sex", "age", "sbp", "hba1c"))


_SCALES = {"sex": (0.0, 1.0), "age": (50.0, 10.0), "sbp": (120.0, 20.0), "hba1c": (6.0, 1.0), "diabetes": (0.0, 1.0)}
MODEL = ModelConfig(backbone="test_resnet", task_split="demographic", num_experts=2, hidden_width=8)


def bundle_content(seed: int = 0, tasks: TaskTable = TASKS, image_size: int = 32, **changes: Any) -> BundleContent:
    """What a study would publish, from a network of random weights: sex, age → sbp, hba1c."""
    regression = [task for task in tasks if task.kind == "regression"]
    content: BundleContent = {
        "config": TrialConfig(model=MODEL),
        "tasks": tasks,
        "image": ImageSpec(size=image_size),
        "quality": QualityThresholds(),
        "scaler": LabelScaler(
            medians=tuple(_SCALES.get(name, (0.0, 1.0))[0] for name in tasks.names),
            iqrs=tuple(_SCALES.get(name, (0.0, 1.0))[1] for name in tasks.names),
        ),
        "intervals": Intervals(
            half_widths={task.name: 5.0 if task.name != "hba1c" else None for task in regression},
            temperatures={"sex": 2.0},
        ),
        "provenance": Provenance(study="drawn", dataset_uri="drawn/dataset", fingerprint="f" * 64, num_trials=3),
        "state": _random_state(seed, tasks.root, image_size),
        "evaluation": None,
    }
    return {**content, **changes}  # type: ignore[typeddict-item]


def planted_conditioning(tasks: TaskTable = TASKS) -> Conditioning:
    """Errors of all tasks that go together (correlation ½, wide), no guard, intervals of one deviation."""
    size = len(tasks)
    covariance_TT = 25.0 * (0.5 + 0.5 * np.eye(size))
    regression = [task.name for task in tasks if task.kind == "regression"]
    sets = (("age", "sex"), *((name,) for name in tasks.names))
    return Conditioning(
        means=(0.0,) * size,
        covariance=tuple(tuple(row) for row in covariance_TT.tolist()),
        num_patients=100,
        patterns=tuple(
            KnownPattern(
                known=known,
                quantiles={name: 1.0 for name in regression if name not in known},
                num_patients=100,
                declared=len(known) > 1,
            )
            for known in sets
        ),
    )


def planted_evaluation(values_PT: np.ndarray, labels_PT: np.ndarray) -> Evaluation:
    """Of values of `TASKS` for patients who are train and test at once."""
    return evaluate(
        values_PT,
        labels_PT,
        labels_PT,
        TASKS,
        cohort_split="test",
        task_split=TaskSplit.parse("demographic", TASKS),
        num_bootstrap=20,
    )


def build_bundle(folder: Path, seed: int = 0, **changes: Any) -> ModelBundle:
    """Publishes `bundle_content` at `folder`."""
    return write_bundle(folder, **bundle_content(seed, **changes))


@cache
def _random_state(seed: int, tasks: tuple[Task, ...], image_size: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return build_network(MODEL, TaskTable.of(tasks), image_size).state_dict()


def draw_fundus(seed: int = 0, size: int = 64, suffix: str = ".jpg") -> bytes:
    """An encoded picture of a red round field with a bright disc and two vessels on black; every seed another."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size] / (size - 1) * 2 - 1
    radius = np.hypot(rows, columns)
    colour_3 = rng.uniform((130, 60, 20), (210, 110, 60))
    picture = colour_3 * (1.1 - 0.4 * radius[..., None])
    disc_x, disc_y = rng.uniform(-0.6, 0.6), rng.uniform(-0.2, 0.2)
    picture[np.hypot(rows - disc_y, columns - disc_x) < 0.18] = (250, 210, 140)
    for bend in rng.uniform(0.2, 0.7, 2):
        picture[np.abs(rows - disc_y - bend * (columns - disc_x) ** 2) < 0.05] *= 0.6
    picture[radius > 0.97] = 0
    return encode(picture, suffix)


def encode(picture_HW3: np.ndarray, suffix: str = ".png") -> bytes:
    """RGB pixels as the bytes of a file."""
    pixels = np.clip(picture_HW3, 0, 255).astype(np.uint8)
    done, data = cv2.imencode(suffix, np.ascontiguousarray(pixels[..., ::-1]))
    assert done
    return data.tobytes()
