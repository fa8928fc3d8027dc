"""A study as its database has it, read without making anything: no empty database, no study."""

from pathlib import Path

import optuna
from sqlalchemy.engine import make_url

from sepl.errors import StudyError
from sepl.tuning.record.ownership import STUDY_ID
from sepl.tuning.record.record import DATABASE, StudyFolder, StudyRecord


def find_trials(folder: StudyFolder, record: StudyRecord) -> optuna.Study | None:
    """The study's trials, None where no database has any of it.

    Raises StudyError when the database cannot be opened or the study in it is another storage's.
    """
    if not _is_there(folder, record):
        return None
    storage = folder.open_optuna_storage(record.optuna_url)
    same = [study for study in storage.get_all_studies() if study.study_name == folder.name]
    if not same:
        return None
    owner = same[0].user_attrs.get(STUDY_ID)
    if owner is not None and owner != record.study_id:
        raise StudyError(f"the database has a study {folder.name} of another storage, with id {owner}")
    return optuna.load_study(study_name=folder.name, storage=storage)


def _is_there(folder: StudyFolder, record: StudyRecord) -> bool:
    """Whether the database's file exists, of one that is a file: opening it would make it."""
    if record.optuna_url is None:
        return (folder.location / DATABASE).exists()
    parsed = make_url(record.optuna_url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database.startswith("file:"):
        return True
    return Path(parsed.database).exists()
