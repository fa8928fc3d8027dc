"""Disks and databases that refuse: one line each."""

import errno
import fcntl
import os
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage

from sepl.errors import StorageError, StudyError
from sepl.tuning.record.database import database_errors_in_one_line
from sepl.tuning.record.record import StudyFolder
from sepl.tuning.space.probe import ask_space


@pytest.fixture
def full(tmp_path: Path) -> RDBStorage:
    """The database of a study, on a disk that has no room for another page."""
    storage = RDBStorage(f"sqlite:///{tmp_path}/optuna.db")
    optuna.create_study(study_name="first", storage=storage)
    storage.remove_session()
    connection = storage.engine.raw_connection()
    connection.execute("PRAGMA max_page_count = 1")  # no fewer than there are
    connection.close()
    return storage


def test_a_full_disk_is_told_in_one_line(full: RDBStorage) -> None:
    study = optuna.load_study(study_name="first", storage=full)

    with pytest.raises(StudyError, match=r"study first: .* disk is full.*--resume") as told:
        fill(study)

    assert "\n" not in str(told.value)


def fill(study: optuna.Study) -> None:
    with database_errors_in_one_line("first"):
        for number in range(1000):
            study.set_user_attr(f"attribute {number}", "x" * 1000)


def test_a_search_space_is_not_blamed_for_its_database(full: RDBStorage) -> None:
    study = optuna.load_study(study_name="first", storage=full)

    def space(trial: optuna.Trial) -> None:
        for number in range(1000):
            trial.suggest_categorical(f"parameter {number}", ["x" * 1000])

    with pytest.raises(StudyError, match="disk is full"), database_errors_in_one_line("first"):
        ask_space(space, study.ask(), "search space")


def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(fcntl, "flock", refuse)

    with (
        pytest.raises(StorageError, match=r"should be on a file system with file locks \(flock\): .*not supported"),
        StudyFolder.at(str(tmp_path), "first").only_driver(),
    ):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = StudyFolder.at(str(tmp_path / "file"), "first")

    with pytest.raises(StorageError, match=r"cannot lock|cannot (write|make)|should be a folder"), folder.only_driver():
        pass
    with pytest.raises(StorageError, match="--storage should be a folder that can be written to"):
        folder.open_optuna_storage(None)
