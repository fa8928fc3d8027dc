"""Known: should a network learn with some of its priors given, when sex and age will be known of every patient?

    python -m jobs.search --data DATASET --space search_spaces/known.py --storage runs --study known --num-trials 20 \
        --known-pattern age+sex

For photographs prepared at 64 or 96 px, with backbones that train in seconds; for others change the backbones. Trials
are judged by the mean of two skills: with nothing known, and with age and sex known (docs/known_values.md). The first
two points differ in `known_share` alone. Expect: in `python -m benchmarks.known_priors` a share of a half brought SePL
5 % more skill on its targets where age and sex were known, before outputs are conditioned on them; what it costs where
nothing is known is what this search shows.
"""

from typing import Any

from search_spaces._trial import Trial

NUM_EPOCHS = 9

_USUAL: dict[str, Any] = {
    "backbone": "test_resnet",
    "known_share": 0.0,
    "task_split": "anthropometric",
    "num_experts": 4,
    "hidden_width": 128,
    "learning_rate": 3e-3,
    "weight_decay": 1e-2,
    "augment_strength": 0.5,
}
FIRST_POINTS: list[dict[str, Any]] = [_USUAL, {**_USUAL, "known_share": 0.5}]


def space(trial: Trial) -> dict[str, Any]:
    trial.suggest_categorical("backbone", ["test_convnext", "test_resnet", "test_efficientnet", "test_vit"])
    trial.suggest_float("known_share", 0.0, 1.0, step=0.25)
    trial.suggest_categorical("task_split", ["anthropometric", "demographic", "anthropometric_pressures"])
    trial.suggest_categorical("num_experts", [1, 2, 4, 8])
    trial.suggest_categorical("hidden_width", [64, 128, 256])
    trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    trial.suggest_categorical("weight_decay", [0.0, 1e-3, 1e-2, 5e-2])
    trial.suggest_float("augment_strength", 0.0, 1.0, step=0.25)
    return {"batch_size": 32, "propagation": "predicted"}
