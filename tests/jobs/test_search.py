"""The search as a command that is interrupted, killed and resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import optuna
import pytest
from builders import build_dataset
from optuna.trial import FrozenTrial, TrialState

from sepl.bundle.registry import Registry

ROOT = Path(__file__).parents[2]
NUM_TRIALS = 9

SPACE = """
NUM_EPOCHS = 9
FIRST_POINTS = [{"learning_rate": 3e-3, "num_experts": 2}]


def space(trial):
    trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    trial.suggest_categorical("num_experts", [1, 2])
    return {"backbone": "test_resnet", "hidden_width": 16, "batch_size": 4, "task_split": "demographic"}
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def searching(folder: Path, *more: str) -> list[str]:
    where = ["--data", f"{folder}/data/dataset", "--space", f"{folder}/space.py", "--storage", f"{folder}/runs"]
    what = ["--study", "first", "--num-trials", str(NUM_TRIALS), "--checkpoint-seconds", "0"]
    return [sys.executable, "-m", "jobs.search", *where, *what, *more]


def environment() -> dict[str, str]:
    return {**os.environ, "RAY_AUTH_MODE": "disabled"}


def trials_in(folder: Path) -> list[FrozenTrial]:
    url = f"sqlite:///{folder}/runs/first/optuna.db"
    return optuna.load_study(study_name="first", storage=url).trials


def finished_in(folder: Path) -> dict[int, FrozenTrial]:
    if not (folder / "runs" / "first" / "study.json").exists():
        return {}
    return {trial.number: trial for trial in trials_in(folder) if trial.state.is_finished()}


def some_finished_at_least(num_trials: int, folder: Path) -> bool:
    return len(finished_in(folder)) >= num_trials


def one_is_midway(folder: Path) -> bool:
    """A trial runs that has a checkpoint and some epochs to go, beside finished ones."""
    if not some_finished_at_least(3, folder):
        return False
    running = [trial for trial in trials_in(folder) if trial.state == TrialState.RUNNING]
    # read between two writes, a trial may have told where its checkpoint lies and not yet an epoch
    return any("checkpoint" in trial.user_attrs and 1 <= len(trial.intermediate_values) <= 5 for trial in running)


def saved_epoch(trial: FrozenTrial) -> int:
    """Of the checkpoint that the database names."""
    return json.loads((Path(trial.user_attrs["checkpoint"]) / "progress.json").read_text())["epoch"]


def run_until(
    reached: Callable[[Path], bool], folder: Path, stop_with: signal.Signals, *more: str
) -> subprocess.CompletedProcess:
    """Starts the search, and sends the signal to its driver alone when the study has come so far."""
    process = subprocess.Popen(
        searching(folder, *more), cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not reached(folder):
        time.sleep(0.05)
    process.send_signal(stop_with)
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@dataclass(frozen=True)
class History:
    """One study: stopped by Ctrl-C, resumed, killed, resumed to its end."""

    folder: Path
    stopped: subprocess.CompletedProcess
    trials_at_stop: list[FrozenTrial]
    trials_at_kill: list[FrozenTrial]
    saved_at_kill: dict[int, int]
    """Of each trial that was running and had a checkpoint: the epoch in it, which goes once there is a newer one."""
    resumed: subprocess.CompletedProcess


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    folder = tmp_path_factory.mktemp("search")
    build_dataset(folder / "data")
    (folder / "space.py").write_text(SPACE)
    stopped = run_until(partial(some_finished_at_least, 1), folder, signal.SIGINT)
    trials_at_stop = trials_in(folder)
    run_until(one_is_midway, folder, signal.SIGKILL, "--resume")
    trials_at_kill = trials_in(folder)
    saved_at_kill = {
        trial.number: saved_epoch(trial)
        for trial in trials_at_kill
        if trial.state == TrialState.RUNNING and "checkpoint" in trial.user_attrs
    }
    poor = {**environment(), "PYTHONIOENCODING": "ascii"}  # a log that cannot show every character
    resumed = subprocess.run(
        searching(folder, "--resume"), cwd=ROOT, env=poor, capture_output=True, text=True, check=False
    )
    return History(folder, stopped, trials_at_stop, trials_at_kill, saved_at_kill, resumed)


def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(history: History) -> None:
    states = [trial.state for trial in history.trials_at_stop]

    assert history.stopped.returncode == 130
    assert "--resume" in history.stopped.stderr
    assert "Traceback" not in history.stopped.stderr
    assert TrialState.RUNNING not in states
    assert sum(state.is_finished() for state in states) < NUM_TRIALS


def test_after_the_kill_every_trial_is_finished_and_none_is_lost(history: History) -> None:
    trials = trials_in(history.folder)

    assert history.resumed.returncode == 0, history.resumed.stderr
    assert TrialState.RUNNING in [trial.state for trial in history.trials_at_kill]
    assert [trial.number for trial in trials] == list(range(NUM_TRIALS))
    assert all(trial.state.is_finished() for trial in trials)


def test_finished_trials_are_not_run_again(history: History) -> None:
    before = {trial.number: trial for trial in history.trials_at_kill if trial.state.is_finished()}
    after = finished_in(history.folder)
    run_again = {int(path.name[-5:]) for path in (history.folder / "runs/first/tune/run-002").glob("trial-*")}

    assert {number: after[number] for number in before} == before
    assert all(before[trial.number] == trial for trial in history.trials_at_stop if trial.state.is_finished())
    assert run_again == set(after) - set(before)


def test_an_interrupted_trial_goes_on_from_its_last_checkpoint(history: History) -> None:
    assert history.saved_at_kill
    for number, epoch in history.saved_at_kill.items():
        results = history.folder / f"runs/first/tune/run-002/trial-{number:05d}/result.json"
        assert json.loads(results.read_text().splitlines()[0])["epoch"] == epoch + 1


def test_the_winner_is_published_under_the_studys_name(history: History) -> None:
    registry = Registry(history.folder / "runs" / "registry")
    (manifest,) = registry.list()

    bundle = registry.show("first")

    assert bundle.manifest == manifest
    assert bundle.evaluation is not None
    assert bundle.evaluation.cohort_split == "test"
    assert manifest.provenance.num_trials == NUM_TRIALS
    assert manifest.bundle_id in history.resumed.stdout


def test_the_report_is_beside_the_study(history: History) -> None:
    page = (history.folder / "runs" / "first" / "report.html").read_text()

    assert "Parameter importance" in page
    assert "sealed" in page
