"""Smoke: does the whole way work on this cohort? The joint question with backbones that train in seconds.

    python -m jobs.search --data DATASET --space search_spaces/smoke.py --storage runs --study smoke --num-trials 12

For photographs prepared at 64 or 96 px. About a second per epoch and thousand photographs on one core.
Expect: mean skill above the floor on simulated photographs; on real ones only that every stage runs. Backbones start
from random weights, so nothing is downloaded.
"""

from typing import Any

from search_spaces._trial import Trial

NUM_EPOCHS = 9  # ASHA's rungs at a reduction factor of 3: epochs 1, 3 and 9

# The paper's own setting with a backbone of this size, then a learning rate that suits so few epochs.
_PAPER: dict[str, Any] = {
    "backbone": "test_convnext",
    "task_split": "anthropometric",
    "num_experts": 4,
    "hidden_width": 512,
    "propagation": "predicted",
    "learning_rate": 1e-4,
    "weight_decay": 0.0,
    "drop_path": 0.0,
    "augment_strength": 1.0,
}
FIRST_POINTS: list[dict[str, Any]] = [
    _PAPER,
    {**_PAPER, "backbone": "test_resnet", "hidden_width": 128, "learning_rate": 3e-3, "augment_strength": 0.5},
]


def space(trial: Trial) -> dict[str, Any]:
    trial.suggest_categorical("backbone", ["test_convnext", "test_resnet", "test_efficientnet", "test_vit"])
    trial.suggest_categorical("num_experts", [1, 2, 4, 8])
    trial.suggest_categorical("hidden_width", [64, 128, 256, 512])
    task_split = trial.suggest_categorical(
        "task_split", ["anthropometric", "demographic", "anthropometric_pressures", "none"]
    )
    trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    trial.suggest_categorical("weight_decay", [0.0, 1e-3, 1e-2, 5e-2])
    trial.suggest_float("drop_path", 0.0, 0.2, step=0.05)
    trial.suggest_float("augment_strength", 0.0, 1.0, step=0.25)
    if task_split == "none":  # without priors there is nothing to propagate: one way, not three equal ones
        return {"batch_size": 32, "propagation": "none"}
    trial.suggest_categorical("propagation", ["predicted", "detached", "none"])
    return {"batch_size": 32}
