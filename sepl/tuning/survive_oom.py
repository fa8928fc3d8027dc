"""A kill by Ray's memory monitor costs one trial, not the study.

In Ray 2.60 an OutOfMemoryError of an actor is neither a RayActorError nor a RayTaskError, and Tune ends the whole
experiment on anything else, whatever `max_failures` says. Reported as a RayActorError the trial is retried as after any
other death of its process. To be removed when Ray handles it; this touches a private class.
"""

from typing import Any

from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import RayActorError, RayError, RayTaskError

_tell_of_failure = RayActorManager._actor_task_failed


def survive_memory_kills() -> None:
    """For this process, from now on; calling it twice does nothing more."""
    RayActorManager._actor_task_failed = _actor_task_failed  # pyright: ignore[reportAttributeAccessIssue]


def _actor_task_failed(manager: RayActorManager, tracked_actor_task: Any, exception: Exception) -> None:
    if isinstance(exception, RayError) and not isinstance(exception, RayActorError | RayTaskError):
        exception = RayActorError(error_msg=f"{type(exception).__name__}: {str(exception)[:300]}")
    _tell_of_failure(manager, tracked_actor_task=tracked_actor_task, exception=exception)
