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
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import nn

from benchmarks._cohorts import simulated_dataset
from benchmarks._report import benchmark_parser, report
from sepl.config import TrialConfig
from sepl.data.prepared import PreparedDataset
from sepl.errors import ConfigError
from sepl.metrics.measures import skill
from sepl.models.build import build_network
from sepl.models.predict import predict_outputs
from sepl.tasks import TaskSplit
from sepl.training.batches import TrainingData, TrainSet, ValidationSet
from sepl.training.loop import TrainingRun, train

Floats = NDArray[np.float64]

NUM_BOOTSTRAP = 2000
WITH, NOT_PROPAGATED, OFF = "with priors", "not propagated", "priors off"
CONSOLE = Console(highlight=False)

# The paper's head on the smallest backbones of search_spaces/smoke.py, with a learning rate that suits few epochs.
SETTING = TrialConfig.from_params(
    {
        "backbone": "test_resnet",
        "task_split": "anthropometric",
        "num_experts": 4,
        "hidden_width": 128,
        "learning_rate": 3e-3,
        "weight_decay": 1e-2,
        "augment_strength": 0.5,
        "batch_size": 32,
        "num_epochs": 15,
    }
)


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        data = options.data or simulated_dataset(Path(folder), options.num_patients, image_size=64, seed=1)
        _compare(options, PreparedDataset.open(data))


def _compare(options: argparse.Namespace, dataset: PreparedDataset) -> None:
    config = TrialConfig.parse_json(options.config.read_bytes(), str(options.config)) if options.config else SETTING
    if options.quick:
        config = config.with_params(num_epochs=min(config.training.num_epochs, 9))
    split = TaskSplit.parse(config.model.task_split, dataset.tasks)
    if not split.priors:
        raise ConfigError("task_split should name priors, had none, so that there is nothing to switch off")
    arms = _arms(config, _judged_by(TrainingData.load(dataset), split.targets), split.targets)
    skills: dict[str, list[Floats]] = {arm: [] for arm in arms}
    for seed in range(options.num_seeds):
        for arm, (trial, data) in arms.items():
            network = _trained(trial.with_params(seed=seed), data)
            skills[arm].append(_test_skills(network, dataset, split.targets))
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
        OFF: (not_propagated, replace(data, train=_withhold(data.train, _is_in(targets, data)))),
    }


def _judged_by(data: TrainingData, targets: Sequence[str]) -> TrainingData:
    """Data whose best epoch is that of the targets: validation labels of all other tasks are withheld."""
    assert data.validation is not None
    labels_PT = np.where(_is_in(targets, data), data.validation.labels_PT, np.nan)
    return replace(data, validation=ValidationSet(data.validation.photographs, labels_PT))


def _withhold(train_set: TrainSet, shown_T: NDArray[np.bool_]) -> TrainSet:
    """Labels of tasks that are not shown count as absent, so that they move no gradient."""
    shown = torch.from_numpy(shown_T).to(train_set.present_NT)
    return replace(train_set, present_NT=train_set.present_NT * shown)


def _is_in(names: Sequence[str], data: TrainingData) -> NDArray[np.bool_]:
    return np.array([name in names for name in data.tasks.names])


def _trained(config: TrialConfig, data: TrainingData) -> nn.Module:
    run = TrainingRun(config, data)
    for _ in train(run):
        pass
    network = build_network(config.model, data.tasks, data.image_spec.size, initialise=False)
    network.load_state_dict(run.best_state())
    return network.to(data.device)


def _test_skills(network: nn.Module, dataset: PreparedDataset, targets: Sequence[str]) -> Floats:
    """Skill of every target on the sealed test patients, (1 + B, targets): the sample itself, then its resamples."""
    test = dataset.photographs("test")
    device = next(network.parameters()).device
    outputs_NT = predict_outputs(network, test.shards, dataset.image_spec, device=device)
    values_PT = test.per_patient(dataset.scaler.unscale(outputs_NT.astype(np.float64)))
    labels_PT = test.per_patient(test.labels_NT)
    weights_BP = _resamples(len(labels_PT))
    return np.column_stack(
        [_task_skills(dataset, dataset.tasks.index(name), values_PT, labels_PT, weights_BP) for name in targets]
    )


def _resamples(num_patients: int) -> Floats:
    """The same for both arms and all seeds, so that differences are paired."""
    shares_P = np.full(num_patients, 1 / num_patients)
    draws_BP = np.random.default_rng(0).multinomial(num_patients, shares_P, NUM_BOOTSTRAP)
    return np.vstack([np.ones(num_patients), draws_BP]).astype(np.float64)


def _task_skills(
    dataset: PreparedDataset, index: int, values_PT: Floats, labels_PT: Floats, weights_BP: Floats
) -> Floats:
    present_P = np.isfinite(labels_PT[:, index])
    task, median = dataset.tasks.root[index], dataset.scaler.medians[index]
    return skill(task, values_PT[present_P, index], labels_PT[present_P, index], weights_BP[:, present_P], median)


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
            "cohort split": "test",
            "test patients": dataset.photographs("test").num_patients,
            "training patients": dataset.photographs("train").num_patients,
            "mean target skill": {arm: _interval(_over_seeds(values_SB)) for arm, values_SB in means.items()},
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
        "difference": _interval(_over_seeds(skills_SB - other_SB)),
        "difference per seed": [round(float(value), 4) for value in (skills_SB - other_SB)[:, 0]],
    }


def _over_seeds(values_SB: Floats) -> Floats:
    """Mean over the seeds; in resamples of patients, over a resample of seeds too."""
    rng = np.random.default_rng(1)
    num_seeds, num_rows = values_SB.shape
    drawn_SB = rng.integers(0, num_seeds, (num_seeds, num_rows))
    drawn_SB[:, 0] = np.arange(num_seeds)
    return np.take_along_axis(values_SB, drawn_SB, axis=0).mean(axis=0)


def _interval(figures_B: Floats) -> dict[str, float]:
    low, high = np.quantile(figures_B[1:], [0.025, 0.975])
    return {"value": float(figures_B[0]), "low": float(low), "high": float(high)}


def _options() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--data", help="URI of a prepared dataset; without it a cohort is simulated")
    parser.add_argument("--config", type=Path, help="the setting as JSON, as `jobs.train` takes it")
    parser.add_argument("--num-seeds", type=int, default=None, help="networks an arm (default 5, 3 with --quick)")
    parser.add_argument("--num-patients", type=int, default=1200, help="of the simulated cohort")
    options = parser.parse_args()
    options.num_seeds = options.num_seeds or (3 if options.quick else 5)
    return options


if __name__ == "__main__":
    main()
