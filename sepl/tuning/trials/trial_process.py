"""What happens in a trial's process: torch, the dataset loaded once, one network after the other.

Apart from `trainable` so that a study's driver, which trains nothing, need not import torch and timm (7 s).
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import SeplError
from sepl.memory import free_memory as free_memory
from sepl.settings import Settings
from sepl.storage import Location, local_copy, resolve
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun
from sepl.tuning.trials.cost import cost_of_trial
from sepl.tuning.trials.environment import SurroundingsError
from sepl.tuning.trials.known_pattern import judge_known

OutOfMemory = torch.OutOfMemoryError


class Surroundings(Settings):
    """What all trials of a study share."""

    dataset: str
    """URI of the prepared dataset."""
    fingerprint: str
    """Of that dataset when the study began; another one is refused."""
    storage: str
    """URI of the study's storage, where checkpoints lie."""
    cpus: int
    gpus: float
    checkpoint_seconds: float
    """A trial is saved when this long has passed since it was saved before, and when it has run all its epochs."""
    known_pattern: str | None = None
    """Values known of patients, such as age+sex, on which trials are judged too."""
    costs: str | None = None
    """URI of the folder where costs of networks are kept."""


def take_share(surroundings: Surroundings) -> None:
    """Keeps this process to its threads and its share of a GPU's memory, which Ray does not limit."""
    torch.set_num_threads(surroundings.cpus)
    if 0 < surroundings.gpus < 1 and torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(surroundings.gpus)


def build_run(params: dict[str, Any], surroundings: Surroundings) -> TrainingRun:
    """A trial at epoch 0. Raises ConfigError, or SurroundingsError when the dataset cannot be used."""
    config = TrialConfig.from_params(params)
    with _blaming_the_environment():
        data = _training_data(surroundings.dataset, surroundings.fingerprint, surroundings.known_pattern)
    return TrainingRun(config, data)


def cost_of(run: TrainingRun, params: dict[str, Any], surroundings: Surroundings) -> dict[str, Any]:
    """Of its network in use, as the results of the trial say it."""
    data = _training_data(surroundings.dataset, surroundings.fingerprint, surroundings.known_pattern)
    return cost_of_trial(run.network, TrialConfig.from_params(params), data, surroundings.costs, surroundings.cpus)


def go_on(run: TrainingRun, checkpoint: str, surroundings: Surroundings) -> None:
    """Restores what the trial had saved under an earlier driver.

    When the checkpoint is gone the trial begins again: being seeded, it repeats itself.
    """
    with tempfile.TemporaryDirectory() as cache:
        with _blaming_the_environment():
            source = Location(resolve(surroundings.storage).filesystem, checkpoint, checkpoint)
            folder = local_copy(source, Path(cache)) if source.exists() else None
        if folder is not None:
            run.restore(folder)


@contextmanager
def _blaming_the_environment() -> Iterator[None]:
    try:
        yield
    except (SeplError, OSError) as problem:
        raise SurroundingsError(str(problem)) from problem


@lru_cache(maxsize=1)
def _training_data(dataset: str, fingerprint: str, known_pattern: str | None) -> TrainingData:
    """Once a process, not once a trial."""
    opened = PreparedDataset.open(dataset, fingerprint=fingerprint)
    return TrainingData.load(opened, known=None if known_pattern is None else judge_known(known_pattern, opened))
