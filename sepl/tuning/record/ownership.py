"""Whose a study in a database is: one storage's, by an id that its record and the database both hold.

Studies of several storages may lie in one database; a second one of the same name would otherwise go on with the trials
of the first and publish its winner.
"""

import uuid

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage

from sepl.errors import StudyError

STUDY_ID = "study_id"
"""Attribute of the Optuna study: `study_id` of its record."""


def new_study_id() -> str:
    return uuid.uuid4().hex


def check_owner(storage: BaseStorage, study: str, study_id: str, *, resumed: bool) -> None:
    """Raises StudyError when the database has a study of this name that is not this one.

    One without an id is of a version that gave none: it is this one when a record asks to go on with it, or when it has
    no trial.
    """
    same = [one for one in storage.get_all_studies() if one.study_name == study]
    if not same:
        return
    owner = same[0].user_attrs.get(STUDY_ID)
    is_older = owner is None and (resumed or not optuna.load_study(study_name=study, storage=storage).trials)
    if owner == study_id or is_older:
        return
    raise StudyError(
        f"the database has a study {study} that belongs to another storage or to a record that is gone; choose another "
        "--study or --optuna-url, or delete that study from the database"
    )


def claim(storage: BaseStorage, study: str, study_id: str, *, resumed: bool) -> None:
    """Makes the study in the database, or finds the one made before. Raises as `check_owner`."""
    check_owner(storage, study, study_id, resumed=resumed)
    try:
        claimed = optuna.create_study(study_name=study, storage=storage, direction="maximize")
    except DuplicatedStudyError:
        check_owner(storage, study, study_id, resumed=resumed)  # made before, or by another driver in this moment
        claimed = optuna.load_study(study_name=study, storage=storage)
    claimed.set_user_attr(STUDY_ID, study_id)
