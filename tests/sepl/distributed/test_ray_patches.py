"""Canaries: what this Ray is patched for is still there, and does what the patch expects."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError
from ray.tune.execution import class_cache
from ray.tune.execution.tune_controller import TuneController

from sepl.distributed import ray_patches
from sepl.distributed.ray_patches import mended_tune, reason, trials_in_prestarted_workers


@dataclass(frozen=True)
class Trial:
    trial_id: str


def no_note(trial_id: str, reason: str) -> None: ...


@pytest.fixture
def passed_on(monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """What Ray's own handlers would have been told."""
    passed_on: list[Exception] = []
    monkeypatch.setattr(ray_patches, "_tell_of_failed_task", lambda _, **event: passed_on.append(event["exception"]))
    monkeypatch.setattr(ray_patches, "_tell_of_failed_trial", lambda _, trial, exception: passed_on.append(exception))
    return passed_on


def fail_task(exception: Exception) -> None:
    manager: Any = object()  # the handler under test looks at the exception alone
    with mended_tune(no_note):
        RayActorManager._actor_task_failed(manager, tracked_actor_task=manager, exception=exception)


def test_a_kill_by_the_memory_monitor_is_the_death_of_one_actor(passed_on: list[Exception]) -> None:
    fail_task(OutOfMemoryError("killed at 95 % of memory"))

    (exception,) = passed_on
    assert isinstance(exception, RayActorError)
    assert "OutOfMemoryError" in str(exception)


@pytest.mark.parametrize("exception", [RayActorError(), RayTaskError("f", "traceback", ValueError("x")), OSError("x")])
def test_other_failures_are_passed_on_as_they_are(passed_on: list[Exception], exception: Exception) -> None:
    fail_task(exception)

    assert passed_on == [exception]


def test_a_death_that_is_told_twice_is_passed_on_once_and_the_next_one_too(passed_on: list[Exception]) -> None:
    trial: Any = Trial("a")
    controller: Any = SimpleNamespace(_resetting_trials={trial})
    deaths: list[tuple[str, str]] = []
    first, second = RayActorError(error_msg="killed"), RayActorError(error_msg="killed again")

    with mended_tune(lambda *death: deaths.append(death)):
        for exception in (first, first, second):
            TuneController._trial_task_failure(controller, trial, exception)

    assert passed_on == [first, second]
    assert not controller._resetting_trials
    assert deaths == [("a", "killed"), ("a", "killed again")]


def test_rays_own_handlers_are_back_when_the_study_is_over() -> None:
    handlers = (RayActorManager._actor_task_failed, TuneController._trial_task_failure, TuneController.save_to_dir)

    with mended_tune(no_note):
        assert RayActorManager._actor_task_failed not in handlers

    after = (RayActorManager._actor_task_failed, TuneController._trial_task_failure, TuneController.save_to_dir)
    assert after == handlers


@pytest.mark.parametrize(
    ("exception", "line"),
    [
        (RayActorError(error_msg="The actor died.\n\tname: x"), "The actor died."),
        (RayTaskError("step", "traceback", OSError("disk full\nand more")), "OSError: disk full"),
        (OSError(""), "no reason was left"),
    ],
)
def test_a_failure_comes_to_one_line(exception: Exception, line: str) -> None:
    assert reason(exception) == line


def test_tune_asks_for_no_environment_while_its_actors_run_in_prestarted_workers() -> None:
    asked = class_cache.DEFAULT_ENV_VARS

    with trials_in_prestarted_workers():
        assert not class_cache.DEFAULT_ENV_VARS
        assert not class_cache.ENV_VARS_TO_PROPAGATE

    assert class_cache.DEFAULT_ENV_VARS is asked
    assert asked
