"""Comparisons at an equal budget: the same cohort, seeds, epochs and choice of settings for all that is compared."""

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.support.cohorts import simulated_dataset
from benchmarks.support.report import benchmark_parser
from benchmarks.support.skills import Floats, skills_of
from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun, train

SMALL: Mapping[str, Any] = {
    "backbone": "test_resnet",
    "weight_decay": 1e-2,
    "augment_strength": 0.5,
    "batch_size": 32,
}
"""A smallest backbone of search_spaces/smoke.py, and what suits so few epochs."""


class BudgetParser:
    """Options of a comparison; each amount has one default, and a lesser one with `--quick`."""

    def __init__(self, description: str | None) -> None:
        self.options = benchmark_parser(description)
        """For options of the benchmark's own."""
        self._amounts: dict[str, tuple[int, int]] = {}
        self.options.add_argument("--data", help="URI of a prepared dataset; without it a cohort is simulated")

    def add_amount(self, name: str, full: int, quick: int, of: str) -> None:
        """`--name N`, a whole number of 1 or more; `of` says what it counts."""
        self._amounts[name] = full, quick
        told = f"{of} (default {full}, {quick} with --quick)"
        self.options.add_argument(f"--{name.replace('_', '-')}", type=int, metavar="N", help=told)

    def parse(self) -> argparse.Namespace:
        """Every amount has a value in what comes back."""
        options = self.options.parse_args()
        for name, (full, quick) in self._amounts.items():
            setattr(options, name, getattr(options, name) or (quick if options.quick else full))
        return options


@contextmanager
def compared_on(options: argparse.Namespace, image_size: int) -> Iterator[PreparedDataset]:
    """`--data`, or a cohort of `num_patients` that is simulated and lasts as long as the context."""
    with tempfile.TemporaryDirectory() as folder:
        data = options.data or simulated_dataset(Path(folder), options.num_patients, image_size=image_size, seed=1)
        yield PreparedDataset.open(data)


def best_on_validation(settings: Sequence[TrialConfig], data: TrainingData) -> TrialConfig:
    """The setting of the best validation skill; of one, nothing is trained."""
    if len(settings) == 1:
        return settings[0]
    reached = [max(result.best_skill for result in train(TrainingRun(setting, data))) for setting in settings]
    return settings[int(np.argmax(reached))]


def seeded_skills(config: TrialConfig, data: TrainingData, dataset: PreparedDataset, num_seeds: int) -> Floats:
    """Skill of every task (S, B, T) on the test patients, trained with each of the seeds 0 … `num_seeds` − 1."""
    return np.stack([skills_of(config.with_params(seed=seed), data, dataset) for seed in range(num_seeds)])
