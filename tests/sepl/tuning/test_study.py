"""Real studies on a real Ray, with networks that learn drawn pictures in seconds."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from builders import build_dataset
from optuna.trial import TrialState

from sepl.errors import ConfigError, StorageError, StudyError
from sepl.tuning.plan import plan_study
from sepl.tuning.record.record import StudyFolder
from sepl.tuning.settings import StudySettings
from sepl.tuning.studies.verify import verify_study
from sepl.tuning.study import StudyResult, run_study
from sepl.tuning.trials.cluster import Cluster, connect

SPACE = """
NUM_EPOCHS = 9
_POINT = {"learning_rate": 3e-3, "num_experts": 2}
FIRST_POINTS = [_POINT, {**_POINT, "learning_rate": 1e9}, {**_POINT, "num_experts": 1}]


def space(trial):
    trial.suggest_float("learning_rate", 1e-5, 1e9, log=True)
    trial.suggest_categorical("num_experts", [1, 2])
    return {"backbone": "test_resnet", "hidden_width": 16, "batch_size": 16, "task_split": "demographic"}
"""
DIVERGING = 1
"""Number of the first point whose learning rate no network survives."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    build_dataset(folder / "data")
    (folder / "space.py").write_text(SPACE)
    return folder


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        with connect(None) as cluster:
            yield cluster


def run(folder: Path, cluster: Cluster, **changes: object) -> StudyResult:
    asked = {
        "data": str(folder / "data" / "dataset"),
        "space": str(folder / "space.py"),
        "storage": str(folder / "runs"),
        "study": "first",
        "num_trials": 8,
    }
    return run_study(plan_study(StudySettings.parse({**asked, **changes}, "test")), cluster)


@pytest.fixture(scope="module")
def result(folder: Path, cluster: Cluster) -> StudyResult:
    """One study of eight trials, looked at from all sides."""
    return run(folder, cluster)


def tune_results(folder: Path) -> dict[int, list[dict[str, Any]]]:
    """What Tune itself logged, by trial number."""
    files = sorted((folder / "runs" / "first" / "tune").glob("run-*/trial-*/result.json"))
    return {int(file.parent.name[-5:]): [json.loads(line) for line in file.read_text().splitlines()] for file in files}


def test_each_trial_keeps_what_its_network_costs_measured_once_a_network(folder: Path, result: StudyResult) -> None:
    attributes = [trial.user_attrs for trial in result.folder.load_study().trials if trial.intermediate_values]

    assert all(kept["num_parameters"] > 0 and kept["ms_per_photograph"] > 0 for kept in attributes)
    assert len(list((folder / "runs" / "first" / "costs").iterdir())) == 2  # one expert or two


def test_configurations_above_a_limit_are_refused_beside_the_number_that_was_asked_for(
    folder: Path, cluster: Cluster, result: StudyResult
) -> None:
    costs = {row.params["num_experts"]: row.number for row in result.board.root if row.curve}
    study = result.folder.load_study()
    smaller = study.trials[costs[1]].user_attrs["num_parameters"]

    limited = run(folder, cluster, study="limited", num_trials=1, max_parameters=smaller)

    trials = limited.folder.load_study().trials
    assert [trial.user_attrs.get("refused", False) for trial in trials] == [True, True, False]
    assert trials[0].user_attrs["failure"].startswith("refused: ")
    assert limited.ended == "all trials are finished"


def test_optuna_and_tune_tell_the_same_story(folder: Path, result: StudyResult) -> None:
    trials = result.folder.load_study().trials

    logged = tune_results(folder)

    assert sorted(logged) == [trial.number for trial in trials] == list(range(8))
    for trial in trials:
        skills = {line["epoch"]: line["best_skill"] for line in logged[trial.number] if "epoch" in line}
        assert trial.intermediate_values == skills
        if trial.state == TrialState.PRUNED:
            assert max(skills) in (1, 3)
        elif trial.state == TrialState.COMPLETE:
            assert max(skills) == 9


def test_some_trials_are_stopped_early_and_some_run_to_the_end(result: StudyResult) -> None:
    counts = result.board.counts()

    assert counts["pruned"] >= 1
    assert counts["complete"] >= 1
    assert counts["running"] == counts["waiting"] == 0


def test_a_diverging_trial_fails_alone_with_its_reason(result: StudyResult) -> None:
    failed = next(row for row in result.board.root if row.number == DIVERGING)

    assert failed.state == "failed"
    assert "not finite" in str(failed.failure)


def test_best_so_far_never_falls(result: StudyResult) -> None:
    for row in result.board.root:
        skills = list(row.curve.values())

        assert skills == sorted(skills)


def test_actors_are_reused(folder: Path, result: StudyResult) -> None:
    logged = tune_results(folder)

    pids = {line["pid"] for lines in logged.values() for line in lines}

    assert len(pids) <= result.packing.concurrency < len(logged)


def test_a_full_trial_keeps_its_best_weights_without_pickle(result: StudyResult) -> None:
    best = result.board.best()
    assert best is not None
    checkpoint = Path(result.folder.load_study().trials[best.number].user_attrs["checkpoint"])

    names = {path.name for path in checkpoint.iterdir()}

    assert "best.safetensors" in names
    assert not any(path.suffix in (".pt", ".pth", ".bin") for path in checkpoint.iterdir())


def test_the_leaderboard_is_written_best_first(folder: Path, result: StudyResult) -> None:
    rows = json.loads((folder / "runs" / "first" / "leaderboard.json").read_text())

    full = [row["best_skill"] for row in rows if row["state"] == "complete"]

    assert full == sorted(full, reverse=True)
    assert rows[0]["state"] == "complete"
    assert rows[0]["config"]["num_epochs"] == 9


def test_a_study_that_is_over_is_not_searched_again(folder: Path, cluster: Cluster, result: StudyResult) -> None:
    again = run(folder, cluster, resume=True)

    assert again.board == result.board
    assert again.ended == "all trials are finished"


def test_two_drivers_never_search_one_study(folder: Path, cluster: Cluster, result: StudyResult) -> None:
    with result.folder.only_driver(), pytest.raises(StorageError, match="another run is searching"):
        run(folder, cluster, resume=True)


def test_a_time_budget_ends_the_study_with_no_trial_left_running(folder: Path, cluster: Cluster) -> None:
    with suppress(StudyError):  # of a machine too busy for one full trial in this time: the study can go on
        run(folder, cluster, study="short", num_trials=1000, time_budget="8s", cpus_per_trial=2)

    trials = StudyFolder.at(str(folder / "runs"), "short").load_study().trials
    assert TrialState.RUNNING not in [trial.state for trial in trials]
    assert len(trials) < 1000


def test_a_study_whose_time_was_too_short_goes_on_with_more(folder: Path, cluster: Cluster) -> None:
    with pytest.raises(StudyError, match="no trial ran to the end; --resume it with a longer --time-budget"):
        run(folder, cluster, study="hasty", num_trials=3, time_budget="0s")

    result = run(folder, cluster, study="hasty", num_trials=3, resume=True)

    assert result.ended == "all trials are finished"
    assert result.board.counts()["complete"] >= 1


def test_when_all_first_trials_fail_the_study_stops_and_says_why(folder: Path, cluster: Cluster) -> None:
    space = folder / "hopeless.py"
    space.write_text(SPACE.replace('"batch_size": 16', '"batch_size": 16, "weights": "/nowhere.pth"'))

    with pytest.raises(StudyError, match=r"/nowhere\.pth"):
        run(folder, cluster, study="hopeless", space=str(space), num_trials=100, cpus_per_trial=2)


def test_a_gpu_budget_needs_a_gpu(folder: Path, cluster: Cluster) -> None:
    if any(node.gpus for node in cluster.nodes):
        pytest.skip("this machine has a GPU")

    with pytest.raises(ConfigError, match="--gpu-hours"):
        run(folder, cluster, study="gpu", gpu_hours=1.0)


def test_a_search_that_has_ended_goes_on_for_more_trials_and_another_one_begins_with_them(
    folder: Path, cluster: Cluster, result: StudyResult
) -> None:
    more = run(folder, cluster, resume=True, num_trials=10)
    second = run(folder, cluster, study="second", from_study="first", num_trials=2)

    best = more.board.best()
    assert best is not None
    assert len(more.board.root) == 10
    judged = [row for row in more.board.root if row.state in ("complete", "pruned")]
    taken = [row for row in second.board.root if row.from_study == "first"]
    assert sorted(row.best_skill or 0.0 for row in taken) == sorted(row.best_skill or 0.0 for row in judged)
    own = sorted(second.board.own().root, key=lambda row: row.number)
    assert len(own) == 2
    assert own[0].params == best.params
    assert [verify_study(str(folder / "runs"), name) for name in ("first", "second")] == [[], []]
    tensorboard = list((folder / "runs" / "second" / "tune").glob("run-*/trial-*/events.out.tfevents.*"))
    assert len(tensorboard) == sum(bool(row.curve) for row in own)
