"""Tasks with levels beside others, and outputs of a network that is as good as it says."""

import numpy as np
from numpy.typing import NDArray

from sepl.bundle.manifest import Intervals
from sepl.data.dataset.scaling import LabelScaler
from sepl.levels import level_probabilities
from sepl.tasks import BUILT_IN_TASKS, Task, TaskTable

GRADES = Task(
    name="retinopathy",
    kind="ordinal",
    unit="level",
    label="Retinopathy",
    levels=("none", "mild", "moderate", "severe", "proliferative"),
)
CAMERA = Task(
    name="camera", kind="categorical", unit="level", label="Camera", levels=("Kowa VX-10", "Topcon NW400", "Zeiss 500")
)
MIXED = TaskTable.of([BUILT_IN_TASKS["sex"], GRADES, BUILT_IN_TASKS["age"], CAMERA, BUILT_IN_TASKS["sbp"]])
MIXED_SCALER = LabelScaler(medians=(0.0, 0.0, 50.0, 0.0, 120.0), iqrs=(1.0, 1.0, 10.0, 1.0, 20.0))


def graded_intervals() -> Intervals:
    """Of `MIXED`."""
    return Intervals(
        half_widths={"age": 5.0, "sbp": 9.0},
        temperatures={"sex": 2.0, "retinopathy": 1.5},
        set_thresholds={"retinopathy": 0.6, "camera": None},
    )


def draw_levels(
    task: Task, num_patients: int, rng: np.random.Generator, temperature: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Outputs (P, K) and labels (P,) that are drawn with the outputs' own probabilities at this temperature."""
    outputs_PK = rng.normal(0.5, 1.5, (num_patients, task.num_outputs))
    cumulative_PL = level_probabilities(outputs_PK, task, temperature).cumsum(axis=1)
    draws_P1 = rng.random((num_patients, 1))
    return outputs_PK, np.minimum((draws_P1 > cumulative_PL).sum(axis=1), len(task.levels) - 1).astype(np.float64)
