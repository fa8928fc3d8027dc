"""Which failures of an actor Tune is told as the death of that actor."""

from typing import Any

import pytest
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError

from sepl.tuning import survive_oom


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """What Ray's own handler would have been told."""
    told: list[Exception] = []

    def remember(manager: Any, tracked_actor_task: Any, exception: Exception) -> None:
        told.append(exception)

    monkeypatch.setattr(RayActorManager, "_actor_task_failed", RayActorManager._actor_task_failed)  # put back after
    monkeypatch.setattr(survive_oom, "_tell_of_failure", remember)
    return told


def fail(exception: Exception) -> None:
    survive_oom.survive_memory_kills()
    manager: Any = object()  # the handler under test looks at the exception alone
    RayActorManager._actor_task_failed(manager, tracked_actor_task=manager, exception=exception)


def test_a_kill_by_the_memory_monitor_is_the_death_of_one_actor(told: list[Exception]) -> None:
    fail(OutOfMemoryError("killed at 95 % of memory"))

    (exception,) = told
    assert isinstance(exception, RayActorError)
    assert "OutOfMemoryError" in str(exception)


@pytest.mark.parametrize("exception", [RayActorError(), RayTaskError("f", "traceback", ValueError("x")), OSError("x")])
def test_other_failures_are_passed_on_as_they_are(told: list[Exception], exception: Exception) -> None:
    fail(exception)

    assert told == [exception]
