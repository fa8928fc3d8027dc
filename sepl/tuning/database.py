"""What goes wrong with a study's database while it is searched: a full disk, a server that went away."""

from collections.abc import Iterator
from contextlib import contextmanager

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import SQLAlchemyError

from sepl.errors import StudyError

DATABASE_ERRORS = (StorageInternalError, SQLAlchemyError)


@contextmanager
def database_errors_in_one_line(study: str) -> Iterator[None]:
    """Raises StudyError for what Optuna raises, which tells the cause last of three errors."""
    try:
        yield
    except DATABASE_ERRORS as problem:
        cause = problem.__cause__ if isinstance(problem, StorageInternalError) and problem.__cause__ else problem
        told = str(getattr(cause, "orig", None) or cause).strip().partition("\n")[0]
        raise StudyError(
            f"study {study}: its database cannot be used any more: {told}. What is in it is kept; go on with --resume"
        ) from problem
