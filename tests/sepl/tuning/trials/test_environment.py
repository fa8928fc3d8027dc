"""A study whose storage or data fails it stops and waits, and no trial is used up."""

import math
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest
from builders import build_dataset
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from sepl.errors import StudyError
from sepl.tuning.plan import plan_study
from sepl.tuning.record import record
from sepl.tuning.record.database import open_database
from sepl.tuning.settings import StudySettings
from sepl.tuning.study import StudyResult, run_study
from sepl.tuning.trials.cluster import Cluster, connect
from sepl.tuning.trials.environment import EnvironmentWatch

SPACE = """
NUM_EPOCHS = 2
FIRST_POINTS = []


def space(trial):
    trial.suggest_float("learning_rate", 1e-3, 1e-2, log=True)
    return {"backbone": "test_resnet", "hidden_width": 16, "batch_size": 16, "task_split": "demographic"}
"""
WAITING = {"best_skill": math.nan, "failure": "no prepared dataset at /gone", "waits": True}
EPOCH = {"best_skill": 0.1}


def told(*results: dict[str, Any]) -> EnvironmentWatch:
    watch = EnvironmentWatch()
    for result in results:
        watch("a", result)
    return watch


def test_three_trials_in_a_row_that_cannot_begin_stop_the_study() -> None:
    watch = told(WAITING, WAITING, WAITING)

    assert watch.stop_all()
    assert watch.problem == "3 trials in a row could not begin: no prepared dataset at /gone"


def test_now_and_then_one_that_cannot_begin_does_not() -> None:
    assert not told(*[WAITING, WAITING, EPOCH] * 5).stop_all()


def test_three_checkpoints_in_a_row_that_are_refused_stop_the_study() -> None:
    watch = told(*[{**EPOCH, "unsaved": "No space left on device"}, EPOCH] * 3)

    assert watch.problem == "3 checkpoints in a row could not be saved: No space left on device"


def test_a_checkpoint_that_was_saved_in_between_is_enough() -> None:
    watch = EnvironmentWatch()
    for _ in range(9):
        watch("a", {**EPOCH, "unsaved": "timeout"})
        watch.note_save()

    assert watch.problem is None


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        with connect(None) as cluster:
            yield cluster


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    build_dataset(tmp_path / "data")
    (tmp_path / "space.py").write_text(SPACE)
    return tmp_path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that has room for a study and for no checkpoint."""
    place = tmp_path / "small"
    place.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False)
    if mount.returncode:
        pytest.skip("only root can mount a small file system")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def settings(folder: Path, **changes: object) -> StudySettings:
    asked = {
        "data": str(folder / "data" / "dataset"),
        "space": str(folder / "space.py"),
        "storage": str(folder / "runs"),
        "study": "first",
        "optuna_url": f"sqlite:///{folder}/optuna.db",
        "num_trials": 8,
    }
    return StudySettings.parse({**asked, **changes}, "test")


def states(result_folder: Any) -> list[TrialState]:
    return [trial.state for trial in result_folder.load_study().trials]


@pytest.mark.slow
def test_a_full_disk_fails_no_trial_that_reached_its_end(folder: Path, small_disk: Path, cluster: Cluster) -> None:
    plan = plan_study(settings(folder, storage=str(small_disk / "runs"), num_trials=40))

    with pytest.raises(
        StudyError, match=r"study first stopped: 3 checkpoints in a row .*[Nn]o space.*--resume"
    ) as stop:
        run_study(plan, cluster)

    assert "\n" not in str(stop.value)
    assert TrialState.COMPLETE in states(plan.folder)
    assert not {TrialState.FAIL, TrialState.RUNNING} & set(states(plan.folder))


@pytest.mark.slow
def test_a_dataset_that_vanishes_burns_no_trial_and_is_used_where_it_is_now(folder: Path, cluster: Cluster) -> None:
    plan = plan_study(settings(folder, num_trials=4))
    (folder / "data").rename(folder / "moved")

    with pytest.raises(StudyError, match=r"3 trials in a row could not begin: no prepared dataset .*--resume"):
        run_study(plan, cluster)

    assert set(states(plan.folder)) == {TrialState.WAITING}
    result = resume(folder, cluster)
    assert result.ended == "all trials are finished"
    assert result.board.counts()["complete"] >= 1
    assert result.board.counts()["failed"] == 0
    assert plan.folder.read().dataset == str(folder / "moved" / "dataset")


def resume(folder: Path, cluster: Cluster) -> StudyResult:
    moved = settings(folder, data=str(folder / "moved" / "dataset"), num_trials=4, resume=True)
    return run_study(plan_study(moved), cluster)


def lock_for_good(database: Path, stop: threading.Event) -> None:
    """Once a trial has finished, as another process would; until `stop`."""
    url = f"sqlite:///{database}"
    while not stop.is_set():
        with suppress(KeyError, SQLAlchemyError, StorageInternalError):
            if any(trial.state.is_finished() for trial in optuna.load_study(study_name="first", storage=url).trials):
                break
        stop.wait(0.1)
    connection = sqlite3.connect(database, isolation_level=None, timeout=30)
    connection.execute("BEGIN EXCLUSIVE")
    stop.wait(120)
    connection.close()


@pytest.mark.slow
def test_a_database_that_stays_locked_ends_the_search_in_one_line_and_it_goes_on_later(
    folder: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(record, "open_database", partial(open_database, patience_s=1.0))
    plan = plan_study(settings(folder, num_trials=6))
    stop = threading.Event()
    locker = threading.Thread(target=lock_for_good, args=(folder / "optuna.db", stop))
    locker.start()

    with pytest.raises(StudyError, match=r"has not answered for 1 s \(database is locked\).*--resume") as lost:
        run_study(plan, cluster)

    stop.set()
    locker.join()
    assert "\n" not in str(lost.value)
    assert "Traceback" not in capfd.readouterr().err
    result = run_study(plan_study(settings(folder, num_trials=6, resume=True)), cluster)
    assert result.ended == "all trials are finished"
    assert result.board.counts()["failed"] == result.board.counts()["running"] == 0
