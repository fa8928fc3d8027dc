"""SePL taken apart: what is each of its ideas worth to the targets, one changed at a time?

    python -m benchmarks.ablation --json out.json [--quick]      # simulates a cohort of its own
    python -m benchmarks.ablation --data DATASET                 # of a prepared dataset

The reference is the paper's head (docs/models.md, 'SePL, taken apart') on a small backbone; every other arm is the
reference with one thing changed, of the same cohort, seeds, epochs and batches. Weights are those of the epoch with the
best mean target skill on the validation patients. Given for each, on the sealed test patients:

- the mean skill of the targets, mean over seeds, and its difference from the reference's, paired; 95 % percentile
  intervals over resamples of test patients and of seeds. They are for one difference each: among this many, one may
  leave out 0 by chance.
- parameters of the whole network.

'prior oracle' is told the test patients' true priors: an upper bound that no photograph alone can reach. 'prior
shuffled' is told those of somebody else: the control for it. The JSON's `ratio` is the reference's mean target skill
over that of 'prior none'. Nothing is promised: what comes out is written down as it is.
"""

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.self_propagation import SETTING
from benchmarks.support.budget import BudgetParser, compared_on
from benchmarks.support.pace import Pace
from benchmarks.support.report import report, shown
from benchmarks.support.skills import (
    Floats,
    interval,
    is_among,
    judged_by,
    judged_on,
    num_parameters,
    over_seeds,
    skills_of,
)
from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.tasks import TaskSplit
from sepl.training.input.batches import TrainingData

REFERENCE, NONE, ORACLE, SHUFFLED = "reference", "prior none", "prior oracle", "prior shuffled"
CONSOLE = Console(highlight=False, width=140)

ARMS: dict[str, dict[str, Any]] = {
    REFERENCE: {},
    "prior detached": {"propagation": "detached"},
    NONE: {"propagation": "none"},
    ORACLE: {"propagation": "oracle"},
    SHUFFLED: {"propagation": "shuffled"},
    "gate image": {"gate_inputs": "image"},
    "gate prior": {"gate_inputs": "prior"},
    "gate uniform": {"gate_inputs": "uniform"},
    "no prior attention": {"prior_attention": False},
    "one stage": {"num_stages": 1, "propagation": "none"},
    "1 expert": {"num_experts": 1},
    "2 experts": {"num_experts": 2},
    "8 experts": {"num_experts": 8},
    "strongest gate alone, balanced": {"gate_top_k": 1, "load_balance": 0.01},
    "binary prior as probability": {"binary_prior": "probability"},
}
"""What differs from the reference. In one stage there is nothing to propagate."""

QUICK_ARMS = (REFERENCE, NONE, ORACLE, SHUFFLED, "gate uniform", "one stage", "1 expert")

NOTES = {
    REFERENCE: "the paper's: predicted priors, gates on image and priors, 4 experts",
    ORACLE: "upper bound: true priors, which no photograph alone can reach",
    SHUFFLED: "control: true priors of somebody else",
}


def main() -> None:
    options = _options()
    with compared_on(options, image_size=64) as dataset:
        _compare(options, dataset)


def settings(arms: list[str], num_epochs: int) -> dict[str, TrialConfig]:
    """The setting of every arm."""
    return {arm: SETTING.with_params(num_epochs=num_epochs, **ARMS[arm]) for arm in arms}


def _compare(options: argparse.Namespace, dataset: PreparedDataset) -> None:
    configs = settings(options.arms, options.num_epochs)
    targets = TaskSplit.parse(SETTING.model.task_split, dataset.tasks).targets
    data = judged_by(TrainingData.load(dataset), targets)
    skills: dict[str, list[Floats]] = {arm: [] for arm in configs}
    pace = Pace(options.num_seeds * len(configs))
    for seed in range(options.num_seeds):  # the outer loop, so that a machine's drift meets all arms alike
        for arm, config in configs.items():
            skills[arm].append(target_skills(config.with_params(seed=seed), data, dataset))
            reached = f"mean target skill {np.nanmean(skills[arm][-1][0]):.3f}"
            CONSOLE.print(f"seed {seed} · {arm}: {reached} · {pace.finish_run()}")
    _report(options, configs, dataset, {arm: np.stack(values) for arm, values in skills.items()})


def target_skills(config: TrialConfig, data: TrainingData, dataset: PreparedDataset) -> Floats:
    """Skill of every target (B, T) of the network trained so, on the test patients and on resamples of them."""
    targets = TaskSplit.parse(config.model.task_split, dataset.tasks).targets
    return skills_of(config, data, dataset)[:, is_among(targets, dataset.tasks)]


def _report(
    options: argparse.Namespace,
    configs: Mapping[str, TrialConfig],
    dataset: PreparedDataset,
    skills: Mapping[str, Floats],
) -> None:
    means = {arm: np.nanmean(values_SBT, axis=2) for arm, values_SBT in skills.items()}
    rows = {arm: _row(arm, configs[arm], dataset, means) for arm in configs}
    report(
        options,
        name="ablation",
        ratio=float(means[REFERENCE][:, 0].mean() / means[NONE][:, 0].mean()),
        against="mean target skill of SePL over that of SePL whose priors are learned and not propagated, same seeds",
        n=options.num_seeds,
        measured={
            **judged_on(dataset),
            "targets": list(TaskSplit.parse(SETTING.model.task_split, dataset.tasks).targets),
            "epochs": options.num_epochs,
            "arms": rows,
            "config": configs[REFERENCE].to_params(),
        },
    )
    _print_summary(rows)


def _row(arm: str, config: TrialConfig, dataset: PreparedDataset, means: Mapping[str, Floats]) -> dict[str, Any]:
    difference_SB = means[arm] - means[REFERENCE]
    return {
        "changed": ARMS[arm],
        "note": NOTES.get(arm, ""),
        "mean target skill": interval(over_seeds(means[arm])),
        "minus the reference": interval(over_seeds(difference_SB)),
        "minus the reference, per seed": [round(float(value), 4) for value in difference_SB[:, 0]],
        "parameters": num_parameters(config, dataset),
    }


def _print_summary(rows: Mapping[str, Mapping[str, Any]]) -> None:
    table = Table("arm", "mean target skill", "minus the reference", "parameters", "note")
    for arm, row in rows.items():
        difference = "" if arm == REFERENCE else shown(row["minus the reference"], "+.3f")
        table.add_row(arm, shown(row["mean target skill"], ".3f"), difference, f"{row['parameters']:,}", row["note"])
    CONSOLE.print(table)


def _options() -> argparse.Namespace:
    parser = BudgetParser(__doc__)
    parser.options.add_argument("--arms", nargs="+", choices=list(ARMS), metavar="ARM", help="all, some with --quick")
    parser.add_amount("num_seeds", 3, 2, "networks an arm")
    parser.add_amount("num_patients", 600, 300, "of the cohort simulated")
    parser.add_amount("num_epochs", 6, 4, "of every training")
    options = parser.parse()
    chosen = options.arms or (QUICK_ARMS if options.quick else ARMS)
    options.arms = list(dict.fromkeys([REFERENCE, NONE, *chosen]))  # what the ratio is taken of
    return options


if __name__ == "__main__":
    main()
