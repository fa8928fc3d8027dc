"""The trials' database away, locked or restarted under a study."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import TrialState

from sepl.errors import StudyError
from sepl.tuning.record.database import is_lost, open_database
from sepl.tuning.trials.environment import DatabaseWatch

_HOLD = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


@contextmanager
def locked(database: Path, seconds: float) -> Iterator[None]:
    """Another process holds the file for so long."""
    command = [sys.executable, "-c", _HOLD, str(database), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.kill()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "optuna.db"


def open_file(file: Path, patience_s: float) -> BaseStorage:
    return open_database(f"sqlite:///{file}", patience_s=patience_s)


def test_a_trial_goes_on_when_the_lock_is_gone(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sepl.tuning.record.database._LONGEST_LOCK_S", 0.2)  # so that SQLite's own waiting is too short
    study = optuna.create_study(storage=open_file(file, patience_s=20.0))
    trial = study.ask()

    with locked(file, seconds=2.0):
        trial.report(0.5, 1)
        study.tell(trial, 0.5)

    assert study.trials[0].value == 0.5
    assert study.trials[0].intermediate_values == {1: 0.5}


def test_a_lock_that_stays_ends_in_one_line_and_then_at_once(file: Path) -> None:
    storage = open_file(file, patience_s=0.5)
    study = optuna.create_study(storage=storage)

    with locked(file, seconds=60.0):
        with pytest.raises(StudyError, match=r"has not answered for 0 s \(database is locked\).*--resume") as lost:
            study.ask()
        began = time.monotonic()
        with pytest.raises(StudyError, match="has not answered"):
            study.ask()

    assert "\n" not in str(lost.value)
    assert time.monotonic() - began < 0.3
    assert is_lost(storage)
    assert DatabaseWatch(storage).stop_all()


def test_what_was_told_before_the_lock_is_there_afterwards(file: Path) -> None:
    study = optuna.create_study(study_name="first", storage=open_file(file, patience_s=0.5))
    study.tell(study.ask(), 0.25)
    with locked(file, seconds=60.0), pytest.raises(StudyError):
        study.ask()

    again = optuna.load_study(study_name="first", storage=open_file(file, patience_s=0.5))

    assert [trial.value for trial in again.trials] == [0.25]


def test_a_locked_file_is_waited_for_when_it_is_opened(file: Path) -> None:
    optuna.create_study(study_name="first", storage=RDBStorage(f"sqlite:///{file}"))

    with locked(file, seconds=2.0):
        storage = open_file(file, patience_s=20.0)

    assert [study.study_name for study in storage.get_all_studies()] == ["first"]


def test_a_database_that_cannot_be_opened_is_told_at_once(tmp_path: Path) -> None:
    began = time.monotonic()

    with pytest.raises(StudyError, match=r"cannot open the study's database sqlite:.*unable to open") as refusal:
        open_database(f"sqlite:///{tmp_path}/nowhere/optuna.db")

    assert "\n" not in str(refusal.value)
    assert time.monotonic() - began < 10


def test_what_is_wrong_with_a_call_is_not_waited_out(file: Path) -> None:
    study = optuna.create_study(study_name="first", storage=open_file(file, patience_s=60.0))
    trial = study.ask()
    study.tell(trial, 0.5)
    began = time.monotonic()

    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        trial.report(0.1, 1)
    with pytest.raises(optuna.exceptions.DuplicatedStudyError):
        optuna.create_study(study_name="first", storage=study._storage)

    assert time.monotonic() - began < 5


def test_finished_trials_are_read_from_the_database_once(file: Path) -> None:
    study = optuna.create_study(study_name="first", storage=open_file(file, patience_s=60.0))
    study.tell(study.ask(), 0.5)
    study.get_trials()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE trial_values SET value = 0.75")
    connection.close()

    assert study.get_trials()[0].value == 0.5


@dataclass
class Postgres:
    """A real server that can be stopped and started."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"

    def control(self, *arguments: str) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        command = [_binary("pg_ctl"), "-w", "-D", str(self.folder / "data"), "-l", str(self.folder / "log"), *arguments]
        if arguments[0] == "start":
            command += ["-o", options]
        subprocess.run(command, check=True, capture_output=True, user=_owner(), cwd=self.folder, timeout=60)

    def close_all_connections(self) -> None:
        """As a firewall or the server does to connections that were idle for long."""
        import psycopg

        with psycopg.connect(f"host=127.0.0.1 port={self.port} user=postgres", autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                "AND backend_type = 'client backend'"
            )


def _binary(name: str) -> str:
    found = shutil.which(name) or next((str(path) for path in Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), None)
    if found is None:
        pytest.skip(f"PostgreSQL's {name} is not installed")
    return found


def _owner() -> str | None:
    """The server refuses to run as root."""
    return "nobody" if os.getuid() == 0 else None


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    initdb = _binary("initdb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        server = Postgres(Path(name), port)
        if (owner := _owner()) is not None:
            shutil.chown(name, owner)
        command = [initdb, "-D", f"{name}/data", "-U", "postgres", "-A", "trust", "--no-sync"]
        subprocess.run(command, check=True, capture_output=True, user=owner, cwd=name)
        server.control("start")
        yield server
        server.control("stop", "-m", "immediate")


@pytest.mark.slow
def test_a_server_that_restarts_costs_a_study_nothing(postgres: Postgres) -> None:
    study = optuna.create_study(storage=open_database(postgres.url, patience_s=60.0))
    trial = study.ask()
    postgres.control("stop", "-m", "fast")
    back = threading.Timer(3.0, postgres.control, ["start"])
    back.start()

    trial.report(0.5, 1)
    study.tell(trial, 0.5)

    back.join()
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE]
    assert study.trials[0].intermediate_values == {1: 0.5}


@pytest.mark.slow
def test_a_server_that_stays_away_ends_in_one_line(postgres: Postgres) -> None:
    study = optuna.create_study(storage=open_database(postgres.url, patience_s=1.0))
    study.ask()
    postgres.control("stop", "-m", "fast")

    try:
        with pytest.raises(StudyError, match=r"has not answered for 1 s .*--resume") as lost:
            study.ask()
        with pytest.raises(StudyError, match="cannot open the study's database") as refused:
            open_database(postgres.url)
    finally:
        postgres.control("start")

    assert "\n" not in str(lost.value)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_a_connection_that_the_server_closed_while_it_was_idle_is_opened_anew(postgres: Postgres) -> None:
    study = optuna.create_study(storage=open_database(postgres.url, patience_s=0.0))
    trial = study.ask()
    postgres.close_all_connections()

    study.tell(trial, 0.5)  # without any patience: the connection is tried before it is used

    assert [trial.value for trial in study.trials] == [0.5]
