"""Families: which way of learning tasks together suits this cohort, or none (a network a task)?

    python -m jobs.search --data s3://…/dataset --space search_spaces/families.py --storage s3://…/studies \
        --study families --num-trials 150 --gpu-hours 60 --address auto --optuna-url postgresql://…

For photographs prepared at 224 px and GPUs; docs/models.md has the equations. The first ten points are every family at
its usual setting, so that none is judged before it was tried. single_task, soft_sharing and cross_stitch train a
network a task: with 15 tasks a step costs 15 times as much and wants the memory of one large GPU (smaller parts of a
batch are taken by themselves where it runs out). Expect: differences between families of the size of those between
learning rates (Kurin et al. 2022, arXiv 2201.04122), so read the leaderboard family by family, and let
`python -m benchmarks.families`, whose budget is equal by design, say which is better.
"""

from typing import Any, get_args

from search_spaces._trial import Trial
from sepl.config import Family

NUM_EPOCHS = 30

_COMMON: dict[str, Any] = {
    "learning_rate": 1e-4,
    "weight_decay": 0.05,
    "drop_path": 0.1,
    "augment_strength": 1.0,
}
_USUAL: dict[str, dict[str, Any]] = {
    "sepl": {"num_experts": 4, "hidden_width": 512, "task_split": "anthropometric", "propagation": "predicted"},
    "mmoe": {"num_experts": 4, "hidden_width": 512},
    "cgc": {"num_experts": 4, "hidden_width": 256, "num_task_experts": 1},
    "ple": {"num_experts": 4, "hidden_width": 256, "num_task_experts": 1, "num_layers": 2},
    "ctan": {"hidden_width": 256, "num_layers": 2},
    "soft_sharing": {"sharing_strength": 1e-3},
}
FIRST_POINTS: list[dict[str, Any]] = [
    {"family": family, **_COMMON, **_USUAL.get(family, {})}
    for family in get_args(Family)  # SePL first, in the paper's setting but for a little regularisation
]


def space(trial: Trial) -> dict[str, Any]:
    family = trial.suggest_categorical("family", get_args(Family))
    trial.suggest_float("learning_rate", 1e-5, 1e-3, log=True)
    trial.suggest_categorical("weight_decay", [0.0, 1e-3, 1e-2, 5e-2])
    trial.suggest_float("drop_path", 0.0, 0.4, step=0.1)
    trial.suggest_float("augment_strength", 0.0, 2.0, step=0.25)
    constants: dict[str, Any] = {"backbone": "convnext_tiny", "weights": "pretrained"}
    if family in ("sepl", "mmoe", "cgc", "ple", "ctan"):
        trial.suggest_categorical("hidden_width", [128, 256, 512])
    if family in ("sepl", "mmoe", "cgc", "ple"):
        trial.suggest_categorical("num_experts", [2, 4, 8])
    if family == "sepl":
        constants |= _propagate(trial)
    if family in ("cgc", "ple"):
        trial.suggest_categorical("num_task_experts", [1, 2])
    if family in ("ple", "ctan"):
        trial.suggest_int("num_layers", 2, 3)
    if family == "soft_sharing":
        trial.suggest_float("sharing_strength", 1e-5, 1e-1, log=True)
    return constants


def _propagate(trial: Trial) -> dict[str, Any]:
    task_split = trial.suggest_categorical("task_split", ["anthropometric", "demographic", "none"])
    if task_split == "none":  # without priors there is nothing to propagate: one way, not three equal ones
        return {"propagation": "none"}
    trial.suggest_categorical("propagation", ["predicted", "detached", "none"])
    return {}
