"""A study whose trials are paused at their rungs and go on in whichever process is free."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import build_dataset
from optuna.trial import TrialState

from sepl.tuning.plan import plan_study
from sepl.tuning.settings import StudySettings
from sepl.tuning.study import StudyResult, run_study
from sepl.tuning.trials.cluster import Cluster, connect

SPACE = """
NUM_EPOCHS = 4
RATES = (5e-5, 1e-5, 1.5e-5, 2e-5, 2.5e-5, 3e-5, 3.5e-5)  # the first is the best of them and comes too early
FIRST_POINTS = [{"learning_rate": rate} for rate in RATES]


def space(trial):
    trial.suggest_float("learning_rate", 1e-5, 1e-2, log=True)
    return {"backbone": "test_resnet", "hidden_width": 16, "batch_size": 16, "task_split": "demographic"}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("promotion")
    build_dataset(folder / "data")
    (folder / "space.py").write_text(SPACE)
    return folder


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with connect(None) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def result(folder: Path, cluster: Cluster) -> StudyResult:
    asked = {
        "data": str(folder / "data" / "dataset"),
        "space": str(folder / "space.py"),
        "storage": str(folder / "runs"),
        "study": "first",
        "num_trials": 7,
        "scheduler": "promotion",
    }
    return run_study(plan_study(StudySettings.parse(asked, "options")), cluster)


def test_trials_that_were_paused_went_on_from_where_they_stood(result: StudyResult) -> None:
    parts = {trial.number: trial.user_attrs.get("parts", 0) for trial in result.folder.load_study().trials}
    resumed = {path.name for path in Path(result.folder.location.path, "tune").glob("run-*/trial-*-*")}

    assert resumed
    assert all(parts[int(name.split("-")[1])] >= 1 for name in resumed)
    for row in result.board.root:
        assert list(row.curve) == list(range(1, row.num_epochs + 1))


def test_all_trials_are_over_and_one_is_whole(result: StudyResult) -> None:
    states = [trial.state for trial in result.folder.load_study().trials]

    assert result.ended == "all trials are finished"
    assert len(states) == 7
    assert set(states) == {TrialState.COMPLETE, TrialState.PRUNED}


def test_no_checkpoint_is_left_of_a_trial_that_never_went_on(result: StudyResult) -> None:
    complete = [trial for trial in result.folder.load_study().trials if trial.state == TrialState.COMPLETE]
    left = {str(path) for path in Path(result.folder.location.path, "tune").glob("run-*/trial-*/checkpoint_*")}

    assert left == {trial.user_attrs["checkpoint"] for trial in complete}
