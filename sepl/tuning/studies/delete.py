"""A study's end: its trials leave the database, its folder the storage; bundles and other studies stay."""

import optuna

from sepl.errors import ConfigError
from sepl.tuning.record.record import StudyFolder
from sepl.tuning.studies.database import find_trials


def delete_study(storage: str, study: str, *, yes: bool = False) -> None:
    """Deletes a study for good; what it published stays in the registry, and that it read sealed patients too.

    Raises ConfigError without `yes`, StudyError when there is none or its trials are another storage's, StorageError
    while a driver holds it.
    """
    folder = StudyFolder.at(storage, study)
    record = folder.read()
    if not yes:
        raise ConfigError(f"--yes should be given to delete study {study} at {folder.location.uri} for good")
    with folder.only_driver():
        found = find_trials(folder, record)
        if found is not None and record.optuna_url is not None:
            optuna.delete_study(study_name=study, storage=folder.open_optuna_storage(record.optuna_url))
        del found  # closes the database's file, which goes with the folder
        folder.location.delete_folder()
