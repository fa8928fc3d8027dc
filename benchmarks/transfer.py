"""Weights that have seen pictures: against random ones, and against regressions on the same weights never trained.

    SEPL_REAL_DATA=FOLDER python -m benchmarks.transfer --json out.json [--quick]     # FOLDER/odir_dev, as in the docs
    python -m benchmarks.transfer --data DATASET --backbone tf_efficientnet_lite2     # of a prepared dataset

Three arms on the same patients:

- packaged        SePL on ImageNet weights, as `weights = "pretrained"` finds them (docs/pretrained_weights.md): they
                  stay as they are, the heads learn.
- random          the same network, epochs and batches from random weights, all of it learning.
- frozen          the cheapest rival: ridge and logistic regressions, penalties cross-validated, on the features of the
                  backbone with the same ImageNet weights. Fitted on the train patients; no network is trained.

Each also with age and sex known of the test patients: networks conditioned on them as scoring does it, fitted on
calibration and validation patients; regressions with both beside the features; the floor of both without a photograph.

Networks are those of the epoch with the best mean skill on the validation patients; skill is that of the sealed test
patients. Intervals are 95 % percentile intervals over resamples of test patients *and* of seeds, of differences paired.
The JSON's `ratio` is packaged / frozen in mean skill.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.support.frozen import frozen_values
from benchmarks.support.known_arms import Learned, Patients, condition_on, outputs_of
from benchmarks.support.odir import odir_dataset
from benchmarks.support.report import benchmark_parser, report
from benchmarks.support.skills import Floats, interval, judged_on, over_seeds, skills_of_values, trained_network
from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.metrics.floor import fit_known_floor
from sepl.models.parts.network import MultiTaskNetwork
from sepl.training.input.batches import TrainingData

PACKAGED, RANDOM, FROZEN, FLOOR = "packaged", "random", "frozen", "floor"
KNOWN = ("age", "sex")
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
    known = tuple(name for name in KNOWN if name in dataset.tasks.names)
    arms = {arm: Arm() for arm in (*configs, FROZEN, FLOOR)}
    model = configs[PACKAGED].model
    floor_PT, frozen_PT = _floor(dataset, known), frozen_values(model, dataset)
    told_PT = frozen_values(model, dataset, known=known)
    for _ in range(options.num_seeds):
        arms[FLOOR].add(dataset, floor_PT, floor_PT)
        arms[FROZEN].add(dataset, frozen_PT, told_PT)
    CONSOLE.print(f"{FROZEN}: {arms[FROZEN].told()}")
    data = TrainingData.load(dataset)
    for seed in range(options.num_seeds):
        for arm, config in configs.items():
            network = trained_network(config.with_params(seed=seed), data)
            arms[arm].add(dataset, *_values(network, dataset, known))
            CONSOLE.print(f"seed {seed} · {arm}: {arms[arm].told()}")
    _report(options, dataset, configs, arms, known)


@dataclass(eq=False)
class Arm:
    """Skills (B, T) on the sealed test patients, one a seed."""

    unknown: list[Floats] = field(default_factory=list)
    known: list[Floats] = field(default_factory=list)

    def add(self, dataset: PreparedDataset, values_PT: Floats, told_PT: Floats) -> None:
        self.unknown.append(skills_of_values(values_PT, dataset))
        self.known.append(skills_of_values(told_PT, dataset))

    def told(self) -> str:
        return f"mean skill {np.nanmean(self.unknown[-1][0]):.3f}"

    def means(self, tasks: Sequence[int] | slice = slice(None), *, is_known: bool = False) -> Floats:
        """(S, B) over these tasks."""
        return np.nanmean(np.stack(self.known if is_known else self.unknown)[:, :, tasks], axis=2)


def _values(network: MultiTaskNetwork, dataset: PreparedDataset, known: Sequence[str]) -> tuple[Floats, Floats]:
    """(P, T) of the test patients, with nothing known and with these tasks known."""
    learned = Learned(dataset.tasks, dataset.scaler)
    fit, test = (
        Patients(outputs_of(network, found, learned), found.per_patient(found.labels_NT))
        for found in (dataset.photographs("validation", "calibration"), dataset.photographs("test"))
    )
    return learned.values(test.outputs_PT), condition_on(known, fit, test, learned).values_PT


def _floor(dataset: PreparedDataset, known: Sequence[str]) -> Floats:
    """(P, T) of the test patients from the known values alone."""
    train, validation, test = (
        found.per_patient(found.labels_NT) for found in map(dataset.photographs, ("train", "validation", "test"))
    )
    return fit_known_floor(train, validation, test, dataset.tasks, known)


def _report(
    options: argparse.Namespace,
    dataset: PreparedDataset,
    configs: Mapping[str, TrialConfig],
    arms: Mapping[str, Arm],
    known: Sequence[str],
) -> None:
    trained = {arm: arms[arm] for arm in (*configs, FROZEN)}
    packaged = arms[PACKAGED]
    report(
        options,
        name="transfer",
        ratio=float(packaged.means()[:, 0].mean() / arms[FROZEN].means()[:, 0].mean()),
        against="mean test skill of SePL from packaged weights over that of regressions on the same weights, frozen",
        n=options.num_seeds,
        measured={
            **judged_on(dataset),
            "image size": dataset.image_spec.size,
            "backbone": options.backbone,
            "epochs": options.num_epochs,
            "mean skill": {name: _interval(arm.means()) for name, arm in trained.items()},
            "packaged against": {name: _interval(packaged.means() - arms[name].means()) for name in (RANDOM, FROZEN)},
            "skill": {
                task: {name: _interval(arm.means([index])) for name, arm in trained.items()}
                for index, task in enumerate(dataset.tasks.names)
            },
            "with " + " and ".join(known) + " known": _with_known(dataset, arms, known),
            "setting": {arm: _chosen(config) for arm, config in configs.items()},
        },
    )


def _with_known(dataset: PreparedDataset, arms: Mapping[str, Arm], known: Sequence[str]) -> dict[str, Any]:
    """Of the other tasks: means with nothing known and with these known, and what a photograph adds to them."""
    others = [index for index, name in enumerate(dataset.tasks.names) if name not in known]
    floor = arms[FLOOR]
    found: dict[str, Any] = {"floor": _interval(floor.means(others))}
    for name, arm in arms.items():
        if name != FLOOR:
            found[name] = {
                "nothing known": _interval(arm.means(others)),
                "known": _interval(arm.means(others, is_known=True)),
                "known − unknown": _interval(arm.means(others, is_known=True) - arm.means(others)),
                "known − floor": _interval(arm.means(others, is_known=True) - floor.means(others)),
            }
    found["packaged, known − floor"] = {
        dataset.tasks.names[index]: _interval(arms[PACKAGED].means([index], is_known=True) - floor.means([index]))
        for index in others
    }
    return found


def _interval(values_SB: Floats) -> dict[str, float]:
    return interval(over_seeds(values_SB))


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
