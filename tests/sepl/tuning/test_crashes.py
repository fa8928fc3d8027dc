"""A study on a real Ray whose processes die, and in whose storage a stranger puts pickles."""

import os
import pickle
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import build_dataset
from optuna.trial import TrialState
from ray import cloudpickle
from ray.tune import Callback

from sepl.tuning import study as study_module
from sepl.tuning.plan import plan_study
from sepl.tuning.settings import StudySettings
from sepl.tuning.study import StudyResult, run_study
from sepl.tuning.trials import run as tune_run
from sepl.tuning.trials.cluster import connect
from sepl.tuning.trials.trainable import SeplTrainable

SPACE = """
NUM_EPOCHS = 3
FIRST_POINTS = []


def space(trial):
    trial.suggest_float("learning_rate", 1e-4, 1e-2)
    return {"backbone": "test_resnet", "hidden_width": 16, "batch_size": 16, "task_split": "demographic"}
"""
ALWAYS, OFTEN, AT_RESET = 0, 1, 3
"""Numbers of the trials whose process dies: at every first epoch; after each of the others; before it begins."""

READ_BY_RAY = (
    *("error.pkl", "params.pkl", "tuner.pkl", "trainable.pkl", "_dict_checkpoint.pkl", "searcher-state-1.pkl"),
    *("search_gen_state-1.json", "callback_states-1.pkl", "experiment_state-9.json"),
)


class Dying(SeplTrainable):
    marks = Path()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        if self.config["number"] == AT_RESET:
            self._die_unless_marked("reset")
        return super().reset_config(new_config)

    def step(self) -> dict[str, Any]:
        number = self.config["number"]
        if number == ALWAYS:
            os.kill(os.getpid(), signal.SIGKILL)
        result = super().step()
        if number == OFTEN and result["epoch"] > 1:
            self._die_unless_marked(f"often-{result['epoch']}")
        return result

    def _die_unless_marked(self, name: str) -> None:
        mark = self.marks / name
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)


class Bomb:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self._path,)


class Planter(Callback):
    """Who may write to the storage puts pickles wherever Ray has a folder, at every turn and when the run is over."""

    def __init__(self, storage: Path, exploded: Path) -> None:
        self.storage, self._bomb = storage, pickle.dumps(Bomb(exploded))

    def plant(self, **_: Any) -> None:
        folders = [folder for folder in self.storage.rglob("*") if folder.is_dir()]
        for folder in folders:
            if "tune" in folder.parts:
                for name in READ_BY_RAY:
                    (folder / name).write_bytes(self._bomb)

    def on_trial_start(self, *_: Any, **__: Any) -> None:
        self.plant()

    def on_checkpoint(self, *_: Any, **__: Any) -> None:
        self.plant()

    def on_experiment_end(self, *_: Any, **__: Any) -> None:
        self.plant()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crashes")
    build_dataset(folder / "data")
    (folder / "space.py").write_text(SPACE)
    (folder / "marks").mkdir()
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> Iterator[list[StudyResult]]:
    """Of two drivers of one study."""
    asked: dict[str, object] = {
        "data": str(folder / "data" / "dataset"),
        "space": str(folder / "space.py"),
        "storage": str(folder / "runs"),
        "study": "dying",
        "num_trials": 4,
        "cpus_per_trial": len(os.sched_getaffinity(0)),
        "grace_epochs": 3,
        "checkpoint_seconds": 1e-3,
    }
    Dying.marks = folder / "marks"
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    planter = Planter(folder / "runs", folder / "exploded")
    callbacks_before = study_module._callbacks
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setattr(tune_run, "SeplTrainable", Dying)
        patch.setattr(study_module, "_callbacks", lambda *given: [*callbacks_before(*given), planter])
        with connect(None) as cluster:
            first = run_study(plan_study(StudySettings.parse(asked, "test")), cluster)
            planter.plant()
            (folder / "runs" / "dying" / "tune" / "run-000").rename(folder / "first-run")
            asked |= {"resume": True, "retry_failed": True}
            yield [first, run_study(plan_study(StudySettings.parse(asked, "test")), cluster)]
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def state(result: StudyResult, number: int) -> tuple[str, int, str | None]:
    row = next(row for row in result.board.root if row.number == number)
    return row.state, row.num_epochs, row.failure


@pytest.mark.usefixtures("results")
def test_nothing_that_lies_in_the_storage_is_unpickled(folder: Path) -> None:
    assert list((folder / "first-run").rglob("error.pkl"))

    assert not (folder / "exploded").exists()


def test_a_trial_whose_process_dies_again_and_again_fails_and_says_why(results: list[StudyResult]) -> None:
    what, _, failure = state(results[0], ALWAYS)

    assert what == "failed"
    assert str(failure).startswith("its process crashed: The actor died")


def test_a_trial_that_comes_further_between_its_crashes_is_never_given_up(results: list[StudyResult]) -> None:
    assert state(results[0], OFTEN) == ("complete", 3, None)


def test_a_process_that_dies_before_its_next_trial_begins_is_one_failure(
    folder: Path, results: list[StudyResult]
) -> None:
    assert (folder / "marks" / "reset").exists()

    assert state(results[0], AT_RESET) == ("complete", 3, None)


def test_a_crashed_trial_is_tried_again_when_asked_and_stays_as_it_ended(results: list[StudyResult]) -> None:
    trials = results[1].folder.load_study().trials

    assert state(results[1], ALWAYS)[0] == "failed"
    assert len(trials) == 5
    assert trials[4].params == trials[ALWAYS].params
    assert trials[4].state == TrialState.COMPLETE


@pytest.mark.usefixtures("results")
def test_the_folder_of_a_driver_has_a_name_that_was_never_used(folder: Path) -> None:
    folders = sorted(path.name for path in (folder / "runs" / "dying" / "tune").glob("run-*"))

    assert folders == ["run-001"]


@pytest.mark.usefixtures("results")
def test_each_trial_that_ran_to_the_end_keeps_its_newest_checkpoint_alone(folder: Path) -> None:
    trials = sorted((folder / "first-run").glob("trial-*"))

    num_checkpoints = [len(list(trial.glob("checkpoint_*"))) for trial in trials]

    assert num_checkpoints == [0, 1, 1, 1]
