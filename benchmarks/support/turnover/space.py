"""The search space of `benchmarks.trial_turnover`: an iteration is as short as a real one can be."""

from typing import Any

NUM_EPOCHS = 9
FIRST_POINTS: list[dict[str, Any]] = []


def space(trial: Any) -> dict[str, Any]:
    trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    trial.suggest_categorical("num_experts", [1, 2, 4])
    constants = {"backbone": "test_resnet", "hidden_width": 16, "batch_size": 16, "task_split": "demographic"}
    return {**constants, "num_epochs": NUM_EPOCHS}
