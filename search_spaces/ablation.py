"""Ablation: which of SePL's ideas earn their place on this cohort, and is there a better mixture of them?

    python -m jobs.search --data s3://…/dataset --space search_spaces/ablation.py --storage s3://…/studies \
        --study ablation --num-trials 100 --gpu-hours 40 --address auto --optuna-url postgresql://…

For photographs prepared at 224 px and GPUs; docs/models.md says what each option asks. The first points are the paper's
setting, then that setting with one idea taken away or changed. Priors are the paper's throughout: joint.py searches
those. Expect: differences smaller than those between learning rates; read the importance of each option in the report
before the winner. `python -m benchmarks.ablation` compares the same options at an equal budget, with true priors and
somebody else's beside them, which no published model can have.
"""

from typing import Any

from search_spaces._trial import Trial

NUM_EPOCHS = 30

_TRAINING: dict[str, Any] = {"learning_rate": 1e-4, "weight_decay": 0.05, "drop_path": 0.1}
_MIXTURE: dict[str, Any] = {"num_experts": 4, "gate_top_k": 0, "load_balance": 0.0}
_PRIORS: dict[str, Any] = {"gate_inputs": "image+prior", "prior_attention": True, "binary_prior": "logit"}
_PAPER: dict[str, Any] = {**_TRAINING, **_MIXTURE, **_PRIORS, "propagation": "predicted"}
_NONE: dict[str, Any] = {**_TRAINING, **_MIXTURE, "propagation": "none"}
FIRST_POINTS: list[dict[str, Any]] = [
    _PAPER,
    {**_PAPER, "propagation": "detached"},
    {**_NONE, "num_stages": 2},
    {**_NONE, "num_stages": 1},
    {**_PAPER, "gate_inputs": "image"},
    {**_PAPER, "gate_inputs": "prior"},
    {**_TRAINING, **_PRIORS, "propagation": "predicted", "gate_inputs": "uniform", "num_experts": 4},
    {**_PAPER, "prior_attention": False},
    {**_PAPER, "binary_prior": "probability"},
    {**_TRAINING, **_PRIORS, "propagation": "predicted", "num_experts": 1},
    {**_PAPER, "num_experts": 8},
    {**_PAPER, "gate_top_k": 1, "load_balance": 0.01},
]


def space(trial: Trial) -> dict[str, Any]:
    trial.suggest_float("learning_rate", 1e-5, 1e-3, log=True)
    trial.suggest_categorical("weight_decay", [0.0, 1e-3, 1e-2, 5e-2])
    trial.suggest_float("drop_path", 0.0, 0.4, step=0.1)
    gate_inputs = _priors(trial)
    num_experts = trial.suggest_categorical("num_experts", [1, 2, 4, 8])
    if num_experts > 1 and gate_inputs != "uniform":  # else there is nothing to choose among, or nobody who chooses
        trial.suggest_categorical("gate_top_k", [0, 1, 2])
        trial.suggest_categorical("load_balance", [0.0, 0.01, 0.1])
    return {"backbone": "convnext_tiny", "weights": "pretrained", "task_split": "anthropometric"}


def _priors(trial: Trial) -> str:
    """What the gates hear; without priors that is the image."""
    if trial.suggest_categorical("propagation", ["predicted", "detached", "none"]) == "none":
        trial.suggest_categorical("num_stages", [1, 2])
        return "image"
    trial.suggest_categorical("prior_attention", [True, False])
    trial.suggest_categorical("binary_prior", ["logit", "probability"])
    return trial.suggest_categorical("gate_inputs", ["image+prior", "image", "prior", "uniform"])
