"""A trial as Ray Tune runs it: a warm process in which each trial only rebuilds the network.

Ray 2.60 does not retry an exception in `reset_config` and hands over a wrong config when it returns False, so it only
lets go of the old trial; the new one is built at its first step, where a failure is retried.
"""

import gc
import math
import tempfile
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from ray import tune
from ray.tune.result import SHOULD_CHECKPOINT

from sepl.config import Settings, TrialConfig
from sepl.data.prepared import PreparedDataset
from sepl.errors import DatasetError, SeplError
from sepl.storage import Location, local_copy, resolve
from sepl.training.data import TrainingData
from sepl.training.device import pick_device
from sepl.training.loop import EpochResult, TrainingRun
from sepl.tuning.searcher import METRIC


class TrialSurroundings(Settings):
    """What all trials of a study share."""

    dataset: str
    """URI of the prepared dataset."""
    fingerprint: str
    """Of that dataset when the study began; another one is refused."""
    storage: str
    """URI of the study's storage, to read a checkpoint from."""
    cpus: int
    gpus: float
    checkpoint_seconds: float
    """A trial is saved when this long has passed since it was saved before, and when it has run all its epochs."""


class SeplTrainable(tune.Trainable):
    """One epoch a step. The config is what `TruthfulOptunaSearch.suggest` gives, and `surroundings` beside it."""

    def setup(self, config: dict[str, Any]) -> None:
        self._surroundings = TrialSurroundings.parse(config["surroundings"], "trial")
        self._run: TrainingRun | None = None
        _use_share_of_machine(self._surroundings)
        self._saved_at = time.monotonic()

    def reset_config(self, new_config: dict[str, Any]) -> bool:  # noqa: ARG002 - Tune has set self.config already
        self._let_go()
        self._saved_at = time.monotonic()
        return True

    def step(self) -> dict[str, Any]:
        """One epoch as plain values. Divergence, a wrong config or a full GPU end this trial and no other."""
        try:
            return self._as_result(self._running().run_epoch())
        except (SeplError, torch.OutOfMemoryError) as problem:
            self._let_go()
            return {METRIC: math.nan, "failure": str(problem).splitlines()[0], "done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> str:
        """The run as safetensors and JSON; a folder rather than a dictionary, which Ray would pickle."""
        self._running().save(Path(checkpoint_dir))
        self._saved_at = time.monotonic()
        return checkpoint_dir

    def load_checkpoint(self, checkpoint: dict[str, Any] | str | None) -> None:
        assert isinstance(checkpoint, str)  # what save_checkpoint returned
        self._run = self._build()
        self._run.restore(Path(checkpoint))

    def cleanup(self) -> None:
        self._let_go()

    def _running(self) -> TrainingRun:
        if self._run is None:
            run = self._build()
            _go_on(run, self.config.get("resume_from"), self._surroundings)
            self._run = run
        return self._run

    def _build(self) -> TrainingRun:
        config = TrialConfig.from_params(self.config["params"])
        return TrainingRun(config, _training_data(self._surroundings.dataset, self._surroundings.fingerprint))

    def _let_go(self) -> None:
        self._run = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _as_result(self, epoch: EpochResult) -> dict[str, Any]:
        is_last = epoch.epoch >= epoch.num_epochs
        is_due = time.monotonic() - self._saved_at >= self._surroundings.checkpoint_seconds
        return {
            METRIC: epoch.best_skill,
            "epoch": epoch.epoch,
            "validation_skill": epoch.validation_skill,
            "train_loss": epoch.train_loss,
            "photographs_per_second": epoch.photographs_per_second,
            "seconds": epoch.seconds,
            "skills": dict(epoch.skill_per_task),
            SHOULD_CHECKPOINT: is_last or is_due,
        }


@lru_cache(maxsize=1)
def _training_data(dataset: str, fingerprint: str) -> TrainingData:
    """Once a process, not once a trial."""
    prepared = PreparedDataset.open(dataset)
    if prepared.fingerprint != fingerprint:
        raise DatasetError(
            f"dataset {dataset} changed since the study began: {prepared.fingerprint}, was {fingerprint}"
        )
    return TrainingData.load(prepared, device=pick_device("auto"))


def _go_on(run: TrainingRun, checkpoint: str | None, surroundings: TrialSurroundings) -> None:
    """Restores what an interrupted driver's trial had saved; without it the trial, being seeded, repeats itself."""
    if checkpoint is None:
        return
    source = Location(resolve(surroundings.storage).filesystem, checkpoint, checkpoint)
    if source.exists():
        with tempfile.TemporaryDirectory() as cache:
            run.restore(local_copy(source, Path(cache)))


def _use_share_of_machine(surroundings: TrialSurroundings) -> None:
    torch.set_num_threads(surroundings.cpus)
    if 0 < surroundings.gpus < 1 and torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(surroundings.gpus)  # Ray shares a GPU's time, nothing limits memory
