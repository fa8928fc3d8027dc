"""A trial as Ray Tune runs it: a warm process in which each trial only rebuilds the network.

Ray 2.60 does not retry an exception in `reset_config` and hands over a wrong config when it returns False, so it only
lets go of the old trial; the new one is built at its first step, where a failure is retried.
"""

import math
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pyarrow import ArrowException
from ray import tune
from ray.tune.result import SHOULD_CHECKPOINT
from safetensors import SafetensorError

from sepl.errors import SeplError
from sepl.tuning.search.names import IS_LAST, JUDGED, METRIC, UNSAVED, WAITS
from sepl.tuning.trials.environment import SurroundingsError

if TYPE_CHECKING:
    from sepl.training.supervised.run import EpochResult, TrainingRun


class SeplTrainable(tune.Trainable):
    """One epoch a step. The config is what `TruthfulOptunaSearch.suggest` gives, and `surroundings` beside it."""

    def setup(self, config: dict[str, Any]) -> None:
        from sepl.tuning.trials import trial_process  # torch and timm, which the driver does without

        self._process = trial_process
        self._surroundings = trial_process.Surroundings.parse(config["surroundings"], "surroundings of a trial")
        trial_process.take_share(self._surroundings)
        self._unsaved: str | None = None
        self._forget()

    def reset_config(self, new_config: dict[str, Any]) -> bool:  # noqa: ARG002 - Tune has set self.config already
        self._forget()
        return True

    def step(self) -> dict[str, Any]:
        """One epoch as plain values. Divergence, a wrong config or a full GPU end this trial and no other."""
        try:
            return self._as_result(self._current_run().run_epoch())
        except (SeplError, self._process.OutOfMemory) as problem:
            self._forget()
            waits = isinstance(problem, SurroundingsError)
            return {METRIC: math.nan, "failure": str(problem).partition("\n")[0], WAITS: waits, "done": True}

    def save(self, checkpoint_dir: str | None = None) -> Any:
        """As Ray does, but a storage that refuses costs the checkpoint and not the trial; the next result says why."""
        try:
            with tempfile.TemporaryDirectory() as folder:
                return super().save(checkpoint_dir or folder)
        except (OSError, ArrowException, SafetensorError) as problem:
            self._unsaved = " ".join(str(problem).split())
            return SimpleNamespace(checkpoint=None, metrics={})  # Tune then goes on without one

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """The run as safetensors and JSON; a folder rather than a dictionary, which Ray would pickle."""
        self._current_run().save(Path(checkpoint_dir))
        self._saved_at = time.monotonic()

    def restore(self, checkpoint_path: Any) -> None:
        """After a crash of this trial under the same driver.

        In place of Ray's, which would unpickle a file of a certain name that somebody put into the checkpoint's folder.
        Tune's own counts begin at 1 again; a study counts in `epoch`.
        """
        checkpoint = getattr(checkpoint_path, "checkpoint", checkpoint_path)
        run = self._process.build_run(self.config["params"], self._surroundings)
        with checkpoint.as_directory() as folder:
            run.restore(Path(folder))
        self._cost = self._process.cost_of(run, self.config["params"], self._surroundings)
        self._run = run

    def cleanup(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._run: TrainingRun | None = None
        self._cost: dict[str, Any] = {}
        self._best_skills: dict[str, float] = {}
        self._saved_at = time.monotonic()
        self._process.free_memory()

    def _current_run(self) -> "TrainingRun":
        if self._run is None:
            run = self._process.build_run(self.config["params"], self._surroundings)
            if self.config["resume_from"] is not None:
                self._process.go_on(run, self.config["resume_from"], self._surroundings)
            if (
                run.finished
            ):  # saved at its end, but the driver died before it was told: being seeded, it repeats itself
                run = self._process.build_run(self.config["params"], self._surroundings)
            self._cost = self._process.cost_of(run, self.config["params"], self._surroundings)
            self._run = run
        return self._run

    def _as_result(self, epoch: "EpochResult") -> dict[str, Any]:
        if epoch.validation_skill >= epoch.best_skill or not self._best_skills:
            self._best_skills = dict(epoch.skill_per_task)
        is_due = time.monotonic() - self._saved_at >= self._surroundings.checkpoint_seconds
        unsaved, self._unsaved = self._unsaved, None
        return {
            **({} if unsaved is None else {UNSAVED: unsaved}),
            **self._cost,
            METRIC: epoch.best_skill,
            "epoch": epoch.epoch,
            "validation_skill": epoch.validation_skill,
            "train_loss": epoch.train_loss,
            "photographs_per_second": epoch.photographs_per_second,
            "seconds": epoch.seconds,
            "skills": self._best_skills,
            **{name: value for name in JUDGED if (value := getattr(epoch, f"best_{name}")) is not None},
            IS_LAST: epoch.is_last,
            "done": epoch.is_last,  # also of a run that stopped early, of which the scheduler knows nothing
            SHOULD_CHECKPOINT: epoch.is_last or is_due,
        }
