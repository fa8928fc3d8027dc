"""Private parts of Ray 2.60 that a study cannot do without: all of them here, each with a canary in its tests.

To be looked at with every new version of Ray, and to be dropped where Ray does it by itself.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.tune.execution import class_cache
from ray.tune.execution.tune_controller import TuneController

NoteDeath = Callable[[str, str], None]
"""Is told the id of the trial whose process or step failed, and why in one line."""

_IDLE_WORKERS_LIVE_MS = 600_000
_LONGEST_REASON = 300

_tell_of_failed_task = RayActorManager._actor_task_failed
_tell_of_failed_trial = TuneController._trial_task_failure


@contextmanager
def mended_tune(note_death: NoteDeath) -> Iterator[None]:
    """Tune, for as long as this lasts, with its treatment of dead processes and its snapshots put right.

    - A kill by Ray's memory monitor costs one trial: an OutOfMemoryError of an actor is neither a RayActorError nor a
      RayTaskError, and Tune ends the whole experiment on anything else, whatever `max_failures` says.
    - One death is one failure: when the process of a trial that has not begun dies, Tune tells the trial twice, for the
      actor and for its task, and the second telling fails a trial that is about to be tried again. Such a trial is also
      no longer taken for one that is being handed a warm process, which it would wait for.
    - Snapshots stay empty: a study remembers by Optuna alone and never reads them, yet they hold every trial and are
      written whole. Nothing of Tune's state is pickled into storage.
    """

    def tell_once(controller: TuneController, trial: Any, exception: Exception) -> None:
        if getattr(exception, "told_of_trial", None) == trial.trial_id:
            return
        exception.told_of_trial = trial.trial_id  # pyright: ignore[reportAttributeAccessIssue]
        controller._resetting_trials.discard(trial)
        note_death(trial.trial_id, reason(exception))
        _tell_of_failed_trial(controller, trial, exception)

    saved = (RayActorManager._actor_task_failed, TuneController._trial_task_failure, TuneController.save_to_dir)
    RayActorManager._actor_task_failed = _actor_task_failed  # pyright: ignore[reportAttributeAccessIssue]
    TuneController._trial_task_failure = tell_once  # pyright: ignore[reportAttributeAccessIssue]
    TuneController.save_to_dir = _save_nothing  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        RayActorManager._actor_task_failed, TuneController._trial_task_failure, TuneController.save_to_dir = saved


def reason(exception: Exception) -> str:
    """The first line of what went wrong: of the step's own error where there is one."""
    cause = exception.cause if isinstance(exception, RayTaskError) else None
    text = f"{type(cause).__name__}: {cause}" if isinstance(cause, Exception) else str(exception)
    return next((line.strip() for line in text.splitlines() if line.strip()), "no reason was left")[:_LONGEST_REASON]


def start_ray(num_cpus: int, preloaded: Sequence[str], **options: Any) -> None:
    """A Ray of this machine alone, whose idle workers have imported `preloaded`."""
    config = {
        "preload_python_modules": list(preloaded),
        "idle_worker_killing_time_threshold_ms": _IDLE_WORKERS_LIVE_MS,
    }
    ray.init(address="local", num_cpus=num_cpus, include_dashboard=False, _system_config=config, **options)


@contextmanager
def trials_in_prestarted_workers() -> Iterator[None]:
    """Lets Tune's actors run in the workers that Ray has started, which imported torch already.

    Tune asks for environment variables of its own for every actor, and Ray starts a new process for whatever asks for
    an environment. On this machine the workers have the variables anyway, inherited from this process.
    """
    defaults, propagated = class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE
    class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = {}, set()
    try:
        yield
    finally:
        class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = defaults, propagated


def _actor_task_failed(manager: RayActorManager, tracked_actor_task: Any, exception: Exception) -> None:
    if isinstance(exception, RayError) and not isinstance(exception, RayActorError | RayTaskError):
        exception = RayActorError(error_msg=f"{type(exception).__name__}: {str(exception)[:_LONGEST_REASON]}")
    _tell_of_failed_task(manager, tracked_actor_task=tracked_actor_task, exception=exception)


def _save_nothing(controller: TuneController) -> None:
    snapshot = Path(controller.experiment_state_path)  # has to be there: Tune looks for it when a run is over
    snapshot.parent.mkdir(parents=True, exist_ok=True)
    snapshot.write_text(json.dumps({}))
