"""Heads on frozen features: many trained as one against one after the other, and how far fine-tuning agrees.

    python -m benchmarks.probe --json out.json [--quick]                 # a simulated cohort
    SEPL_REAL_DATA=FOLDER python -m benchmarks.probe --real              # FOLDER/odir_dev, as in the docs
    python -m benchmarks.probe --data DATASET --backbone tf_efficientnet_lite0 --weights pretrained

Heads a minute, on the same features, of the same settings and with the same figures:

- together        `sepl.training.probe.heads.train_heads`, so many at once.
- one by one      the module, torch's fused AdamW and a loop (`benchmarks/support/one_head.py`).

Features are computed beforehand and belong to neither. Settings are of one structure after the other, each with as many
learning rates as are trained at once; what there is to gain falls with the size of the head, so every structure has its
row. The JSON's `ratio` is that of the first, the smallest. `difference in skill` is the largest between the two.

Then so many settings that the probe's sampling draws are fine-tuned, all of their network from the same weights; the
rank correlation (Spearman) of their skills with those of their heads on frozen features has a 95 % interval over
resamples of the settings.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.support.cohorts import simulated_dataset
from benchmarks.support.odir import odir_dataset
from benchmarks.support.one_head import train_one_head
from benchmarks.support.report import benchmark_parser, report
from sepl.config import ModelConfig, TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.training.input.batches import TrainingData
from sepl.training.probe.data import ProbeData, leading_directions
from sepl.training.probe.frozen import FrozenBackbone
from sepl.training.probe.heads import train_heads
from sepl.training.probe.store import FeatureStore
from sepl.training.supervised.run import TrainingRun, train
from sepl.tuning.probe.agreement import rank_correlation

CONSOLE = Console(highlight=False)
NUM_DIRECTIONS = 128
"""As the stage before a search ranks heads."""
STRUCTURES: tuple[dict[str, Any], ...] = (
    {"num_experts": 1, "hidden_width": 16},
    {"num_experts": 2, "hidden_width": 32},
    {"num_experts": 4, "hidden_width": 64},
    {"num_experts": 4, "hidden_width": 128},
)
_BASE: dict[str, Any] = {"task_split": "demographic", "batch_size": 32, "weight_decay": 0.05}


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        dataset = PreparedDataset.open(options.data or _dataset(place, options))
        model = ModelConfig(backbone=options.backbone, weights=options.weights)
        frozen = FrozenBackbone(model, dataset, FeatureStore(place / "features", 10**10), num_views=0, strength=0.0)
        _compare(options, dataset, frozen)


def rates(structure: dict[str, Any], num_heads: int, num_epochs: int) -> list[TrialConfig]:
    """Settings of one structure that differ in their learning rate alone, 1e-4 to 1e-2."""
    shared = {**_BASE, **structure, "num_epochs": num_epochs}
    each = np.geomspace(1e-4, 1e-2, num_heads)
    return [TrialConfig.from_params({**shared, "learning_rate": float(rate)}) for rate in each]


def _compare(options: argparse.Namespace, dataset: PreparedDataset, frozen: FrozenBackbone) -> None:
    data = frozen.data()
    basis_FD = leading_directions(data.views[0], NUM_DIRECTIONS)
    narrow = data if basis_FD is None else data.along(basis_FD)
    paces = {_name(structure): _pace(options, structure, narrow) for structure in STRUCTURES}
    first = next(iter(paces.values()))
    tuned = _tuned(options, dataset, frozen.model, narrow)
    report(
        options,
        name="probe",
        ratio=first["ratio"],
        against=f"heads a minute, {options.at_once} together over one by one, of the smallest structure",
        n=options.at_once,
        measured={
            "photographs": len(data.targets_NT),
            "features": data.num_features,
            "directions": narrow.num_features,
            "epochs": options.num_epochs,
            "heads": paces,
            "fine-tuned settings": options.num_tuned,
            "rank correlation with fine-tuning": tuned,
        },
    )


def _pace(options: argparse.Namespace, structure: dict[str, Any], data: ProbeData) -> dict[str, float]:
    configs = rates(structure, options.at_once, options.num_epochs)
    train_heads([config.with_params(num_epochs=1) for config in configs[:2]], data)
    seconds: dict[str, float] = {}
    begun = time.perf_counter()
    together = train_heads(configs, data, at_once=options.at_once)
    seconds["together"] = time.perf_counter() - begun
    some = configs[:: max(1, options.at_once // options.num_alone)]
    begun = time.perf_counter()
    alone = [train_one_head(config, data) for config in some]
    seconds["alone"] = (time.perf_counter() - begun) * len(configs) / len(some)
    skills = [head.skill for head in together[:: max(1, options.at_once // options.num_alone)]]
    paces = {name: 60 * len(configs) / value for name, value in seconds.items()}
    CONSOLE.print(f"{_name(structure)}: {paces['together']:.0f} heads a minute together, {paces['alone']:.0f} alone")
    return {
        "heads a minute together": paces["together"],
        "heads a minute one by one": paces["alone"],
        "ratio": paces["together"] / paces["alone"],
        "difference in skill": float(np.max(np.abs(np.subtract(skills, alone)))),
    }


def _tuned(
    options: argparse.Namespace, dataset: PreparedDataset, model: ModelConfig, data: ProbeData
) -> dict[str, float | None]:
    """The rank correlation, with its interval."""
    configs = _drawn(options, model)
    probed = [head.skill for head in train_heads(configs, data)]
    training, skills = TrainingData.load(dataset, device="cpu"), []
    for config, skill in zip(configs, probed, strict=True):
        skills.append(_fine_tuned(config, training))
        CONSOLE.print(f"{_name(config.model.model_dump())}: probe {skill:.3f}, fine-tuned {skills[-1]:.3f}")
    return rank_correlation(np.array(probed), np.array(skills)).model_dump()


def _drawn(options: argparse.Namespace, model: ModelConfig) -> list[TrialConfig]:
    """Structures and rates at random, the same ones every time."""
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(options.num_tuned):
        priors = rng.choice(["demographic", "none"])
        params = {
            **_BASE,
            **STRUCTURES[rng.integers(len(STRUCTURES))],
            "task_split": str(priors),
            "propagation": "none" if priors == "none" else str(rng.choice(["predicted", "detached", "none"])),
            "learning_rate": float(10 ** rng.uniform(-4, -2)),
        }
        of_model = {"backbone": model.backbone, "weights": model.weights}
        drawn.append(TrialConfig.from_params({**params, **of_model, "num_epochs": options.num_epochs}))
    return drawn


def _fine_tuned(config: TrialConfig, data: TrainingData) -> float:
    run = TrainingRun(config, data)
    return max(epoch.best_skill for epoch in train(run))


def _name(structure: dict[str, Any]) -> str:
    return f"{structure['num_experts']} × {structure['hidden_width']}"


def _dataset(folder: Path, options: argparse.Namespace) -> str:
    if options.real:
        return odir_dataset(folder, image_size=options.image_size, one_in=10 if options.quick else 1)
    return simulated_dataset(folder, 60 if options.quick else 600, image_size=options.image_size, seed=0)


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--data", help="URI of a prepared dataset; without it a simulated cohort")
    parser.add_argument("--real", action="store_true", help="odir_dev below $SEPL_REAL_DATA instead")
    parser.add_argument("--backbone", default="test_efficientnet", help="a timm name")
    parser.add_argument("--weights", default="none", help="initial weights: none, pretrained or a file")
    parser.add_argument("--image-size", type=int, default=None, help="px of a dataset made here (64; --real 160)")
    parser.add_argument("--at-once", type=int, default=64, help="heads trained together")
    parser.add_argument("--num-alone", type=int, default=None, help="heads timed one by one (default 8; --quick 4)")
    parser.add_argument(
        "--num-epochs", type=int, default=None, help="of every head and network (default 12; --quick 3)"
    )
    parser.add_argument("--num-tuned", type=int, default=None, help="settings fine-tuned (default 20; --quick 4)")
    options = parser.parse_args(arguments)
    for name, full, quick in (("num_alone", 8, 4), ("num_epochs", 12, 3), ("num_tuned", 20, 4)):
        if getattr(options, name) is None:
            setattr(options, name, quick if options.quick else full)
    options.image_size = options.image_size or (160 if options.real else 64)
    return options


if __name__ == "__main__":
    main()
