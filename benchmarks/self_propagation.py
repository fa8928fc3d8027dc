"""Do priors help the targets? Mean skill over the targets: SePL, over the same network with priors off.

Three arms get the same cohort, budget (epochs, batches, augmentation) and seeds:

- with priors     SePL as configured: the priors are learned and propagated to gates and experts.
- not propagated  the priors are learned, but gates and experts see the image features alone: what propagation adds to
                  learning the priors beside the targets.
- priors off      no task is a prior: their labels are withheld, and the targets are learned from the image alone. The
                  JSON's `ratio` is with priors / priors off.

Each network's weights are those of the epoch with the best mean target skill on the validation patients; skill is that
of the sealed test patients. docs/decisions/0003 says what was found.

    python -m benchmarks.self_propagation --json out.json                      # simulates a cohort of its own
    python -m benchmarks.self_propagation --data DATASET --config trial.json   # of a prepared dataset and a setting

Intervals are 95 % percentile intervals over resamples of test patients *and* of seeds.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.support.budget import SMALL, BudgetParser, compared_on
from benchmarks.support.report import report
from benchmarks.support.skills import Floats, interval, is_among, judged_by, judged_on, over_seeds, skills_of
from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import ConfigError
from sepl.tasks import TaskSplit
from sepl.training.input.batches import TrainingData, TrainSet

WITH, NOT_PROPAGATED, OFF = "with priors", "not propagated", "priors off"
CONSOLE = Console(highlight=False)

# The paper's head on a smallest backbone.
SETTING = TrialConfig.from_params(
    {
        **SMALL,
        "task_split": "anthropometric",
        "num_experts": 4,
        "hidden_width": 128,
        "learning_rate": 3e-3,
        "num_epochs": 15,
    }
)


def main() -> None:
    options = _options()
    with compared_on(options, image_size=64) as dataset:
        _compare(options, dataset)


def _compare(options: argparse.Namespace, dataset: PreparedDataset) -> None:
    config = TrialConfig.parse_json(options.config.read_bytes(), str(options.config)) if options.config else SETTING
    if options.quick:
        config = config.with_params(num_epochs=min(config.training.num_epochs, 9))
    split = TaskSplit.parse(config.model.task_split, dataset.tasks)
    if not split.priors:
        raise ConfigError("task_split should name priors, had none, so that there is nothing to switch off")
    arms = _arms(config, judged_by(TrainingData.load(dataset), split.targets), split.targets)
    indices = [dataset.tasks.index(name) for name in split.targets]
    skills: dict[str, list[Floats]] = {arm: [] for arm in arms}
    for seed in range(options.num_seeds):
        for arm, (trial, data) in arms.items():
            skills[arm].append(skills_of(trial.with_params(seed=seed), data, dataset)[:, indices])
            CONSOLE.print(f"seed {seed} · {arm}: mean target skill {skills[arm][-1][0].mean():.3f}")
    _report(options, config, dataset, {arm: np.stack(values) for arm, values in skills.items()})


def _arms(
    config: TrialConfig, data: TrainingData, targets: Sequence[str]
) -> dict[str, tuple[TrialConfig, TrainingData]]:
    propagation = "predicted" if config.model.propagation == "none" else config.model.propagation
    not_propagated = config.with_params(propagation="none")
    return {
        WITH: (config.with_params(propagation=propagation), data),
        NOT_PROPAGATED: (not_propagated, data),
        OFF: (not_propagated, replace(data, train=_withhold(data.train, is_among(targets, data.tasks)))),
    }


def _withhold(train_set: TrainSet, shown_T: NDArray[np.bool_]) -> TrainSet:
    """Labels of tasks that are not shown count as absent, so that they move no gradient."""
    shown = torch.from_numpy(shown_T).to(train_set.present_NT)
    return replace(train_set, present_NT=train_set.present_NT * shown)


def _report(
    options: argparse.Namespace, config: TrialConfig, dataset: PreparedDataset, skills: dict[str, Floats]
) -> None:
    targets = TaskSplit.parse(config.model.task_split, dataset.tasks).targets
    means = {arm: values_SBT.mean(axis=2) for arm, values_SBT in skills.items()}
    report(
        options,
        name="self_propagation",
        ratio=float(means[WITH][:, 0].mean() / means[OFF][:, 0].mean()),
        against="mean target skill of the same network, budget and seeds with priors off",
        n=len(means[WITH]),
        measured={
            **judged_on(dataset),
            "mean target skill": {arm: interval(over_seeds(values_SB)) for arm, values_SB in means.items()},
            "with priors against": {arm: _difference(means[WITH], means[arm]) for arm in (OFF, NOT_PROPAGATED)},
            "target skill": {
                name: {arm: round(float(values_SBT[:, 0, index].mean()), 4) for arm, values_SBT in skills.items()}
                for index, name in enumerate(targets)
            },
            "config": config.to_params(),
        },
    )


def _difference(skills_SB: Floats, other_SB: Floats) -> dict[str, object]:
    return {
        "ratio": float(skills_SB[:, 0].mean() / other_SB[:, 0].mean()),
        "difference": interval(over_seeds(skills_SB - other_SB)),
        "difference per seed": [round(float(value), 4) for value in (skills_SB - other_SB)[:, 0]],
    }


def _options() -> argparse.Namespace:
    parser = BudgetParser(__doc__)
    parser.options.add_argument("--config", type=Path, help="the setting as JSON, as `jobs.train` takes it")
    parser.add_amount("num_seeds", 5, 3, "networks an arm")
    parser.add_amount("num_patients", 1200, 600, "of the cohort simulated")
    return parser.parse()


if __name__ == "__main__":
    main()
