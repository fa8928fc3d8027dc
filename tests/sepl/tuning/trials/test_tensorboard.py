"""TensorBoard's files hold what the trials reported, by epoch, and cost the driver no torch."""

import math
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sepl.tuning.trials.tensorboard import TensorBoardLog, tensorboard_log

ROOT = Path(__file__).parents[4]


class Writer:
    """Remembers what is written in place of a file."""

    made: list["Writer"]

    def __init__(self, folder: str) -> None:
        self.folder, self.scalars, self.is_open = folder, [], True
        Writer.made.append(self)

    def add_scalar(self, name: str, value: float, global_step: int) -> None:
        self.scalars.append((name, value, global_step))

    def flush(self) -> None: ...

    def close(self) -> None:
        self.is_open = False


def report(log: TensorBoardLog, trial: Any, **result: Any) -> None:
    log.on_trial_result(1, [], trial, result)


def test_each_epoch_is_a_step_also_after_another_driver() -> None:
    Writer.made = []
    log, trial = TensorBoardLog(Writer), SimpleNamespace(trial_id="a", local_path="/folder")

    report(log, trial, epoch=7, best_skill=0.5, training_iteration=1, skills={"age": 0.4, "sex": math.nan})
    report(log, trial, epoch=8, best_skill=math.nan, failure="diverged")
    log.on_trial_complete(1, [], trial)

    (writer,) = Writer.made
    assert writer.folder == "/folder"
    assert writer.scalars == [("best_skill", 0.5, 7), ("skills/age", 0.4, 7)]
    assert not writer.is_open


def test_no_file_stays_open_when_a_budget_cuts_trials_off() -> None:
    Writer.made = []
    log = TensorBoardLog(Writer)
    for name in "abc":
        report(log, SimpleNamespace(trial_id=name, local_path=name), epoch=1, best_skill=0.5)

    log.on_experiment_end([])

    assert [writer.is_open for writer in Writer.made] == [False] * 3


def test_the_writer_of_ray_is_used_and_loads_no_torch(tmp_path: Path) -> None:
    program = f"""
import sys
from types import SimpleNamespace
from sepl.tuning.trials.tensorboard import tensorboard_log
(log,) = tensorboard_log()
log.on_trial_result(1, [], SimpleNamespace(trial_id="a", local_path={str(tmp_path)!r}), dict(epoch=1, best_skill=0.5))
log.on_experiment_end([])
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)

    (file,) = tmp_path.glob("events.out.tfevents.*")
    assert b"best_skill" in file.read_bytes()


def test_without_the_writer_there_is_no_log(monkeypatch: Any) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    assert tensorboard_log() == []


def test_tune_can_pickle_it() -> None:
    assert isinstance(pickle.loads(pickle.dumps(TensorBoardLog(Writer))), TensorBoardLog)
