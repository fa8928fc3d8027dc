"""Studies made by hand, as a driver leaves them: record, database, Tune's folders, checkpoints, leaderboard, bundle."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState, create_trial
from safetensors.numpy import save_file
from sqlalchemy.engine import make_url
from unsearched import study_record

from sepl.tuning.record.attributes import CHECKPOINT, SECONDS, SHARE
from sepl.tuning.record.ownership import claim
from sepl.tuning.record.record import DATABASE, ENDED, LEADERBOARD, StudyFolder
from sepl.tuning.results.leaderboard import leaderboard

RATES = optuna.distributions.FloatDistribution(1e-4, 1e-2, log=True)


@dataclass(frozen=True)
class Made:
    """A study in a storage, and what changes it behind its back."""

    storage: str
    folder: StudyFolder
    study: optuna.Study

    def checkpoint(self, number: int) -> Path:
        return self.folder.location.local_path() / "tune" / "run-000" / f"trial-{number:05d}" / "checkpoint_000000"

    def add(self, state: TrialState, curve: list[float], **attributes: Any) -> int:
        """The number of a trial that has run so."""
        number = len(self.study.trials)
        is_full = state == TrialState.COMPLETE
        if is_full:
            attributes = {CHECKPOINT: str(self.checkpoint(number)), **attributes}
            write_checkpoint(self.checkpoint(number))
        self.study.add_trial(
            create_trial(
                state=state,
                value=max(curve) if is_full else None,
                params={"learning_rate": 1e-3},
                distributions={"learning_rate": RATES},
                intermediate_values=dict(enumerate(np.maximum.accumulate(curve).tolist(), start=1)) if curve else {},
                user_attrs={SECONDS: 360.0, SHARE: {"cpus": 2, "gpus": 0}, **attributes},
            )
        )
        return number

    def end(self) -> None:
        """As a driver does that has run all its trials."""
        self.study.set_user_attr(ENDED, "all trials are finished")
        board = leaderboard(self.study).model_dump_json(indent=2)
        (self.folder.location / LEADERBOARD).write_bytes(board.encode())


@cache
def _empty_database() -> bytes:
    """Optuna's tables without a row: to make them takes longer than a test."""
    with tempfile.TemporaryDirectory() as folder:
        optuna.storages.RDBStorage(f"sqlite:///{folder}/empty.db").engine.dispose()
        return (Path(folder) / "empty.db").read_bytes()


def write_checkpoint(folder: Path) -> None:
    folder.mkdir(parents=True)
    save_file({"weight": np.ones((2, 3), np.float32)}, folder / "weights.safetensors")
    (folder / "progress.json").write_text(json.dumps({"epoch": 3}))


def make(storage: Path, name: str = "made", *, optuna_url: str | None = None) -> Made:
    """Two full trials, one stopped early and one that failed; over."""
    folder = StudyFolder.at(str(storage), name)
    folder.write(study_record(study=name, study_id=f"id-of-{name}", optuna_url=optuna_url))
    file = (
        (folder.location / DATABASE).local_path() if optuna_url is None else Path(make_url(optuna_url).database or "")
    )
    if not file.exists():
        file.write_bytes(_empty_database())
    database = folder.open_optuna_storage(optuna_url)
    claim(database, name, f"id-of-{name}", resumed=False)
    made = Made(str(storage), folder, optuna.load_study(study_name=name, storage=database))
    made.add(TrialState.COMPLETE, [0.1, 0.2, 0.3])
    made.add(TrialState.COMPLETE, [0.1, 0.3, 0.2])
    made.add(TrialState.PRUNED, [0.05])
    made.add(TrialState.FAIL, [], failure="diverged")
    made.end()
    return made


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return make(tmp_path)


@pytest.fixture
def make_study() -> Callable[..., Made]:
    return make
