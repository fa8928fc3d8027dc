"""The database of a study's trials, and patience with it.

A server restarts, a firewall closes an idle connection, another process holds an SQLite file locked: a call is tried
again, with growing pauses, for `PATIENCE_S`. After that the study ends with one line; whatever was committed is there,
and `--resume` goes on.
"""

import logging
import re
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, RDBStorage, get_storage
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from sepl.errors import ConfigError, StudyError

PATIENCE_S = 120.0
"""How long the database may be away or locked before a study gives up."""

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_LONGEST_LOCK_S = 10.0  # of SQLite's own waiting within one call

# An answer that will change by itself, the last two because somebody else makes the tables in this moment. Whatever
# else is wrong when a database is opened, such as a host that is not there, is told at once.
_PASSING = re.compile(r"locked|busy|starting up|shutting down|too many|already exists|alembic_version")

# A server that is gone without a word is noticed within a minute, not by TCP's quarter of an hour.
_LIBPQ = {"connect_timeout": 10, "keepalives_idle": 20, "keepalives_interval": 10, "keepalives_count": 3}

DATABASE_ERRORS = (StorageInternalError, SQLAlchemyError)

_logger = logging.getLogger(__name__)


class Patience:
    """Calls what may fail while the database is away; `lost` once it has been away for too long."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url, self._seconds = url, seconds
        self.lost: StudyError | None = None

    def call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """The function's result. Raises StudyError when the database is away for too long, from then on at once."""
        if self.lost is not None:
            raise self.lost
        deadline = time.monotonic() + self._seconds
        pause = 0.0
        while True:
            try:
                return function(*args, **options)
            except UpdateFinishedTrialError:
                if not pause or not _is_done(function, *args, **options):
                    raise
                return True  # the answer to the first attempt was lost, the commit was not
            except DATABASE_ERRORS as problem:
                if not _is_away(problem):
                    raise
                pause = self._next_pause(pause, deadline, problem)
            time.sleep(pause)

    def _next_pause(self, pause: float, deadline: float, problem: Exception) -> float:
        why = _cause(problem)
        if time.monotonic() >= deadline:
            self.lost = StudyError(
                f"the study's database {self._url} has not answered for {self._seconds:.0f} s ({why}); what it holds "
                "is safe: go on with --resume when it answers"
            )
            raise self.lost from problem
        if not pause:
            _logger.warning("the database does not answer (%s); trying again for %.0f s", why, self._seconds)
        return min(_LONGEST_PAUSE_S, 2 * pause or _FIRST_PAUSE_S)


def open_database(url: str, *, patience_s: float = PATIENCE_S) -> BaseStorage:
    """The trials at an SQLAlchemy URL, made when they are not there; every call is patient.

    Raises StudyError when it cannot be opened.
    """
    shown = make_url(url).render_as_string(hide_password=True)
    deadline = time.monotonic() + patience_s
    while True:
        try:
            storage = RDBStorage(url, engine_kwargs=_engine_options(url, patience_s))
            return _PatientStorage(storage, Patience(shown, patience_s))
        except (SQLAlchemyError, StorageInternalError, ImportError) as problem:  # ImportError: no driver is installed
            if not _PASSING.search(_cause(problem)) or time.monotonic() >= deadline:
                raise StudyError(f"cannot open the study's database {shown}: {_cause(problem)}") from problem
        time.sleep(1.0)


@contextmanager
def database_errors_in_one_line(study: str) -> Iterator[None]:
    """Raises StudyError for what no patience mends, a full disk for instance; Optuna tells the cause last of three."""
    try:
        yield
    except DATABASE_ERRORS as problem:
        raise StudyError(
            f"study {study}: its database cannot be used any more: {_cause(problem)}. What is in it is kept; go on "
            "with --resume"
        ) from problem


def absolute_url(url: str) -> str:
    """The URL of a database that lasts, whatever folder it is read from.

    Raises ConfigError for what is no URL, holds a password or is a database in memory.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError(f"--optuna-url should be like postgresql://user@host/database, was {url!r}") from None
    if parsed.password is not None:
        raise ConfigError(
            "--optuna-url should hold no password, which would be stored with the study; use a PGPASSFILE"
        )
    if parsed.get_backend_name() != "sqlite":
        return url
    file = parsed.database or ":memory:"
    if ":memory:" in file or parsed.query.get("mode") == "memory":
        raise ConfigError(f"--optuna-url should name a file, not a database in memory, which is lost; was {url!r}")
    if file.startswith("file:"):  # SQLite's own kind of URI
        return url
    return parsed.set(database=str(Path(file).absolute())).render_as_string(hide_password=False)


def is_lost(storage: BaseStorage) -> bool:
    """Whether a database that `open_database` opened has been away for too long."""
    patience = getattr(storage, "patience", None)
    return isinstance(patience, Patience) and patience.lost is not None


def _engine_options(url: str, patience_s: float) -> dict[str, Any]:
    parsed = make_url(url)
    arguments: dict[str, Any] = {}
    if parsed.get_backend_name() == "sqlite":
        arguments = {"timeout": min(_LONGEST_LOCK_S, patience_s)}  # the report and a dashboard read meanwhile
    elif parsed.drivername in ("postgresql", "postgresql+psycopg", "postgresql+psycopg2"):
        arguments = dict(_LIBPQ)
    return {"pool_pre_ping": True, "connect_args": arguments}  # a connection that was closed while idle is opened anew


def _patient(name: str) -> Callable[..., Any]:
    def call(self: Any, *args: Any, **options: Any) -> Any:
        return self.patience.call(getattr(self.storage, name), *args, **options)

    return call


def _hold(self: Any, storage: RDBStorage, patience: Patience) -> None:
    self.storage = get_storage(storage)  # with Optuna's cache of finished trials, as a study would have it
    self.patience = patience
    weakref.finalize(self, storage.engine.dispose)  # connections are closed with the last study that uses them


_CALLS = [name for name in dir(BaseStorage) if not name.startswith("_")]
_PatientStorage: Any = type(
    "PatientStorage", (BaseStorage,), {"__init__": _hold, **{name: _patient(name) for name in _CALLS}}
)


def _is_away(problem: Exception) -> bool:
    cause = problem.__cause__ if isinstance(problem, StorageInternalError) else problem
    if isinstance(cause, OperationalError | InterfaceError | PoolTimeoutError):
        return True
    return isinstance(cause, DBAPIError) and cause.connection_invalidated


def _is_done(function: Callable[..., Any], trial_id: int, state: Any = None, values: Any = None) -> bool:  # noqa: ARG001
    """Whether a trial that is finished was finished as `set_trial_state_values` was asked to."""
    storage = getattr(function, "__self__", None)
    asked = getattr(function, "__name__", "") == "set_trial_state_values"
    return asked and storage is not None and storage.get_trial(trial_id).state == state


def _cause(problem: Exception) -> str:
    """The database's own words, in one line."""
    cause = problem.__cause__ if isinstance(problem, StorageInternalError) and problem.__cause__ else problem
    return " ".join(str(getattr(cause, "orig", None) or cause).split())
