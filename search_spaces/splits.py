"""Splits: which factors should be predicted first, asked of every factor by itself?

    python -m jobs.search --data s3://…/dataset --space search_spaces/splits.py --storage s3://…/studies \
        --study splits --num-trials 150 --gpu-hours 40 --address auto --optuna-url postgresql://…

For photographs prepared at 224 px and GPUs. The named splits of joint.py are four; here each factor that may be a prior
is a boolean, at least one of them a prior and one factor a target (`sepl.tuning.space.by_task` says how). The first
points are the named ones. Expect: the paper's priors, or a few of them, among the best; the importance of the booleans
in the report says which factor is worth predicting first. Ask for more trials than in joint.py: there are more splits.
"""

from typing import Any

from search_spaces._trial import Trial
from sepl.tasks import TASK_SPLITS
from sepl.tuning.space.by_task import PREFIX, suggest_task_split_by_task

NUM_EPOCHS = 30

_MAY_BE_PRIORS = [
    *("age", "sex", "height", "weight", "bmi", "waist", "sbp", "dbp"),
    *("total_cholesterol", "glucose", "triglycerides", "hba1c", "bun", "creatinine", "uric_acid"),
]
_TRAINING: dict[str, Any] = {
    "num_experts": 4,
    "propagation": "predicted",
    "learning_rate": 1e-4,
    "weight_decay": 0.05,
    "drop_path": 0.1,
}


def _first(split: str) -> dict[str, Any]:
    return {**_TRAINING, **{PREFIX + name: name in TASK_SPLITS[split] for name in _MAY_BE_PRIORS}}


FIRST_POINTS: list[dict[str, Any]] = [
    _first("anthropometric"),
    _first("demographic"),
    _first("anthropometric_pressures"),
]


def space(trial: Trial) -> dict[str, Any]:
    trial.suggest_categorical("num_experts", [1, 2, 4, 8])
    trial.suggest_categorical("propagation", ["predicted", "detached"])
    trial.suggest_float("learning_rate", 1e-5, 1e-3, log=True)
    trial.suggest_categorical("weight_decay", [0.0, 1e-3, 1e-2, 5e-2])
    trial.suggest_float("drop_path", 0.0, 0.4, step=0.1)
    split = suggest_task_split_by_task(trial, _MAY_BE_PRIORS)
    return {"backbone": "convnext_tiny", "weights": "pretrained", "task_split": split}
