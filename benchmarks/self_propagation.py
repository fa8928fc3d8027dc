"""Do propagated priors help? Mean skill over the nine targets, SePL with priors over the same network with priors off.

Both get the same cohort, the same budget (epochs, batches, augmentation) and the same seeds; only `propagation`
differs, 'predicted' against 'none': with 'none' the priors are predicted all the same, but gates and experts see the
image features alone. Each network's weights are those of its best validation epoch; skill is that of the sealed test
patients.

    python -m benchmarks.self_propagation --json out.json                      # simulates a cohort of its own
    python -m benchmarks.self_propagation --data DATASET --config trial.json   # of a prepared dataset and a setting

The interval is a 95 % percentile interval over resamples of test patients *and* of seeds.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from torch import nn

from benchmarks._cohorts import simulated_dataset
from benchmarks._report import benchmark_parser, report
from sepl.config import TrialConfig
from sepl.data.prepared import PreparedDataset
from sepl.metrics.measures import skill
from sepl.models.build import build_network
from sepl.models.predict import predict_outputs
from sepl.tasks import TaskSplit
from sepl.training.batches import TrainingData
from sepl.training.loop import TrainingRun, train

Floats = NDArray[np.float64]

NUM_BOOTSTRAP = 2000
ARMS = {"with priors": "predicted", "without": "none"}
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
    data = TrainingData.load(dataset)
    targets = TaskSplit.parse(config.model.task_split, dataset.tasks).targets
    skills: dict[str, list[Floats]] = {arm: [] for arm in ARMS}
    for seed in range(options.num_seeds):
        for arm, propagation in ARMS.items():
            trial = config.with_params(propagation=propagation, seed=seed)
            skills[arm].append(_test_skills(_trained(trial, data), dataset, targets))
            CONSOLE.print(f"seed {seed} · {arm}: mean target skill {skills[arm][-1][0].mean():.3f}")
    _report(options, config, dataset, {arm: np.stack(values) for arm, values in skills.items()})


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
    with_priors_SB, without_SB = means["with priors"], means["without"]
    difference_B = _over_seeds(with_priors_SB - without_SB)
    ratio = with_priors_SB[:, 0].mean() / without_SB[:, 0].mean()
    report(
        options,
        name="self_propagation",
        ratio=float(ratio),
        against="mean target skill of the same network, budget and seeds with propagation 'none'",
        n=len(with_priors_SB),
        measured={
            "cohort split": "test",
            "test patients": dataset.photographs("test").num_patients,
            "training patients": dataset.photographs("train").num_patients,
            "mean target skill with priors": _interval(_over_seeds(with_priors_SB)),
            "mean target skill without": _interval(_over_seeds(without_SB)),
            "difference": _interval(difference_B),
            "seeds in which priors helped": int((with_priors_SB[:, 0] > without_SB[:, 0]).sum()),
            "difference per seed": [round(float(value), 4) for value in (with_priors_SB - without_SB)[:, 0]],
            "skill with priors, without": {
                name: [round(float(skills[arm][:, 0, index].mean()), 4) for arm in ARMS]
                for index, name in enumerate(targets)
            },
            "config": config.to_params(),
        },
    )


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
