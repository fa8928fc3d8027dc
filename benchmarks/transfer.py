"""Weights that have seen pictures: against random ones, and against regressions on the same weights never trained.

    SEPL_REAL_DATA=FOLDER python -m benchmarks.transfer --json out.json [--quick]     # FOLDER/odir_dev, as in the docs
    python -m benchmarks.transfer --data DATASET --backbone tf_efficientnet_lite2     # of a prepared dataset

Three arms on the same patients:

- packaged        SePL on ImageNet weights, as `weights = "pretrained"` finds them (docs/pretrained_weights.md); they stay
                  as they are, the heads learn.
- random          the same network, epochs and batches from random weights, all of it learning.
- frozen          the cheapest rival: ridge and logistic regressions, penalties cross-validated, on the features of the
                  backbone with the same ImageNet weights. Fitted on the train patients; no network is trained.

Networks are those of the epoch with the best mean skill on the validation patients; skill is that of the sealed test
patients. Intervals are 95 % percentile intervals over resamples of test patients *and* of seeds, of differences paired.
The JSON's `ratio` is packaged / frozen in mean skill.
"""

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.support.frozen import frozen_values
from benchmarks.support.odir import odir_dataset
from benchmarks.support.report import benchmark_parser, report
from benchmarks.support.skills import Floats, interval, judged_on, over_seeds, skills_of, skills_of_values
from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.training.input.batches import TrainingData

PACKAGED, RANDOM, FROZEN = "packaged", "random", "frozen"
CONSOLE = Console(highlight=False)

# That of search_spaces/transfer.py which trains the heads alone.
SETTING: dict[str, Any] = {
    "task_split": "demographic",
    "num_experts": 4,
    "hidden_width": 128,
    "learning_rate": 1e-3,
    "weight_decay": 0.05,
    "augment_strength": 0.0,
    "batch_size": 32,
}
_FROM_PICTURES: dict[str, Any] = {"weights": "pretrained", "frozen_stages": 8}
_FROM_NOTHING: dict[str, Any] = {"weights": "none"}


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        data = options.data or odir_dataset(
            Path(folder), image_size=options.image_size, one_in=10 if options.quick else 1
        )
        _compare(options, PreparedDataset.open(data))


def settings(backbone: str, num_epochs: int) -> dict[str, TrialConfig]:
    """Of the arms that are trained."""
    shared = {**SETTING, "backbone": backbone, "num_epochs": num_epochs}
    return {
        PACKAGED: TrialConfig.from_params({**shared, **_FROM_PICTURES}),
        RANDOM: TrialConfig.from_params({**shared, **_FROM_NOTHING}),
    }


def _compare(options: argparse.Namespace, dataset: PreparedDataset) -> None:
    configs = settings(options.backbone, options.num_epochs)
    frozen_BT = skills_of_values(frozen_values(configs[PACKAGED].model, dataset), dataset)
    CONSOLE.print(f"{FROZEN}: mean skill {np.nanmean(frozen_BT[0]):.3f}")
    skills: dict[str, list[Floats]] = {arm: [] for arm in configs}
    data = TrainingData.load(dataset)
    for seed in range(options.num_seeds):
        for arm, config in configs.items():
            skills[arm].append(skills_of(config.with_params(seed=seed), data, dataset))
            CONSOLE.print(f"seed {seed} · {arm}: mean skill {np.nanmean(skills[arm][-1][0]):.3f}")
    arms = {arm: np.stack(values) for arm, values in skills.items()}
    _report(options, dataset, configs, {**arms, FROZEN: np.stack([frozen_BT] * options.num_seeds)})


def _report(
    options: argparse.Namespace,
    dataset: PreparedDataset,
    configs: Mapping[str, TrialConfig],
    skills: Mapping[str, Floats],
) -> None:
    means = {arm: np.nanmean(values_SBT, axis=2) for arm, values_SBT in skills.items()}
    report(
        options,
        name="transfer",
        ratio=float(means[PACKAGED][:, 0].mean() / means[FROZEN][:, 0].mean()),
        against="mean test skill of SePL from packaged weights over that of regressions on the same weights, frozen",
        n=options.num_seeds,
        measured={
            **judged_on(dataset),
            "image size": dataset.image_spec.size,
            "backbone": options.backbone,
            "epochs": options.num_epochs,
            "mean skill": {arm: interval(over_seeds(values_SB)) for arm, values_SB in means.items()},
            "packaged against": {arm: interval(over_seeds(means[PACKAGED] - means[arm])) for arm in (RANDOM, FROZEN)},
            "skill": {
                name: {arm: interval(over_seeds(values_SBT[:, :, index])) for arm, values_SBT in skills.items()}
                for index, name in enumerate(dataset.tasks.names)
            },
            "setting": {arm: _chosen(config) for arm, config in configs.items()},
        },
    )


def _chosen(config: TrialConfig) -> str:
    """What differs from the defaults."""
    usual = TrialConfig().to_params()
    return ", ".join(f"{name} {value}" for name, value in config.to_params().items() if value != usual[name])


def _options() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--data", help="URI of a prepared dataset; without it odir_dev below $SEPL_REAL_DATA")
    parser.add_argument("--backbone", default="tf_efficientnet_lite0", help="a timm name with published weights")
    parser.add_argument(
        "--image-size", type=int, default=None, help="px that odir_dev is prepared at (160; --quick 96)"
    )
    parser.add_argument("--num-epochs", type=int, default=None, help="a network (default 9, 4 with --quick)")
    parser.add_argument("--num-seeds", type=int, default=None, help="networks an arm (default 3, 1 with --quick)")
    options = parser.parse_args()
    for name, full, quick in (("image_size", 160, 96), ("num_epochs", 9, 4), ("num_seeds", 3, 1)):
        setattr(options, name, getattr(options, name) or (quick if options.quick else full))
    return options


if __name__ == "__main__":
    main()
