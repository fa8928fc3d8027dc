"""Ray Tune's part of a study: it gives trials to processes, and remembers nothing."""

from collections.abc import Sequence
from typing import Any

import optuna
from ray import tune
from ray.tune import Callback, Stopper
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import ConcurrencyLimiter

from sepl.distributed.ray_patches import mended_tune
from sepl.tuning.record.record import StudyFolder
from sepl.tuning.search.searcher import TruthfulOptunaSearch
from sepl.tuning.trials.packing import Packing
from sepl.tuning.trials.run_name import next_run
from sepl.tuning.trials.trainable import SeplTrainable

_MAX_FAILURES = 1  # since it last came further: a trial whose process died is tried once more from its last checkpoint


def run_trials(
    folder: StudyFolder,
    packing: Packing,
    searcher: TruthfulOptunaSearch,
    *,
    limiter: ConcurrencyLimiter,
    scheduler: TrialScheduler,
    stopper: Stopper,
    callbacks: Sequence[Callback],
    surroundings: dict[str, object],
    num_trials: int,
) -> None:
    """Runs `num_trials` further trials, fewer when `stopper` or Ctrl-C ends them; −1: as many as the searcher gives.

    `limiter` is around `searcher`.
    """
    with mended_tune(searcher.note_death):
        # `Tuner.fit` runs this too, and then unpickles what lies under certain names in the storage.
        tune.run(
            tune.with_resources(SeplTrainable, {"cpu": packing.cpus, "gpu": packing.gpus}),
            config={"surroundings": surroundings},
            search_alg=limiter,
            scheduler=scheduler,
            num_samples=num_trials,
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
            stop=stopper,
            callbacks=callbacks,
            max_failures=_MAX_FAILURES,
            raise_on_failed_trial=False,
            verbose=0,
            **_storage(folder, searcher.study),
        )


def _storage(folder: StudyFolder, study: optuna.Study) -> dict[str, Any]:
    tune_folder = folder.location / "tune"
    return {
        "name": next_run(study, tune_folder),
        "storage_path": tune_folder.path,
        "storage_filesystem": None if tune_folder.is_local else tune_folder.filesystem,
    }


def _trial_name(trial: Trial) -> str:
    part = trial.config.get("part", 0)  # of one that goes on after a pause: its checkpoint lies in the folder before
    return f"trial-{trial.config['number']:05d}" + (f"-{part}" if part else "")
