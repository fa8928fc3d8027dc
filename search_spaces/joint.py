"""Joint: which backbone, how many experts, and which factors should be predicted first, all in one search.

    python -m jobs.search --data s3://…/dataset --space search_spaces/joint.py --storage s3://…/studies \
        --study joint --num-trials 120 --gpu-hours 40 --address auto --optuna-url postgresql://…

For photographs prepared at 224 px and GPUs. A full trial of 30 epochs over 5,000 photographs is minutes on a current
GPU; ASHA stops about two in three at epoch 3. Expect: a winner above the paper's own setting (the first point tried)
in mean skill on validation patients, and a leaderboard that tells whether the priors or the backbone made it so.
Backbones start from timm's pretrained weights, as in the paper; set `weights` below to "none" where no model hub can
be reached and none is cached.
"""

from typing import Any

from search_spaces._trial import Trial

NUM_EPOCHS = 30

# Ko et al., MICCAI 2025, as released: ConvNeXt-T, six simple factors first, four experts, no regularisation.
_PAPER: dict[str, Any] = {
    "backbone": "convnext_tiny",
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
    {**_PAPER, "weight_decay": 0.05, "drop_path": 0.1},
    {**_PAPER, "backbone": "resnet50", "task_split": "demographic"},
]
_BACKBONES = [
    "convnext_tiny",
    "resnet50",
    "tf_efficientnetv2_s",
    "swin_tiny_patch4_window7_224",
    "vit_small_patch16_224",
    "convnextv2_tiny",
    "mobilenetv4_conv_medium",
]


def space(trial: Trial) -> dict[str, Any]:
    trial.suggest_categorical("backbone", _BACKBONES)
    trial.suggest_categorical("num_experts", [1, 2, 4, 8, 16])
    trial.suggest_categorical("hidden_width", [128, 256, 512, 1024])
    task_split = trial.suggest_categorical(
        "task_split", ["anthropometric", "demographic", "anthropometric_pressures", "none"]
    )
    trial.suggest_float("learning_rate", 1e-5, 1e-3, log=True)
    trial.suggest_categorical("weight_decay", [0.0, 1e-4, 1e-3, 1e-2, 5e-2])
    trial.suggest_float("drop_path", 0.0, 0.4, step=0.1)
    trial.suggest_float("augment_strength", 0.0, 2.0, step=0.25)
    if task_split == "none":  # without priors there is nothing to propagate: one way, not three equal ones
        return {"weights": "pretrained", "propagation": "none"}
    trial.suggest_categorical("propagation", ["predicted", "detached", "none"])
    return {"weights": "pretrained"}
