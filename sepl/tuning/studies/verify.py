"""Whether what is kept of a study agrees: its database, Tune's folders, checkpoints, leaderboard.json, the registry."""

import math
from collections.abc import Iterable, Iterator

import optuna
from optuna.trial import FrozenTrial, TrialState

from sepl.bundle.manifest import MANIFEST, parse_manifest
from sepl.errors import BundleError, SeplError, StudyError
from sepl.locking import holder
from sepl.storage import Location, sha256_of
from sepl.tuning.record.attributes import CHECKPOINT, FROM_STUDY, NUM_KEPT, RETRY_OF
from sepl.tuning.record.ownership import STUDY_ID
from sepl.tuning.record.record import BUNDLE_ID, ENDED, LEADERBOARD, StudyFolder, StudyRecord
from sepl.tuning.results.leaderboard import Leaderboard, leaderboard
from sepl.tuning.search.names import PAUSED
from sepl.tuning.studies.database import find_trials
from sepl.tuning.studies.kept import problem_of_checkpoint

_FOLDER = "tune"


def verify_study(storage: str, study: str) -> list[str]:
    """What is wrong, a line each; nothing of a study that is whole.

    While a driver holds the study only what cannot be under way is judged. Raises StudyError when there is no such
    study, or its database does not answer.
    """
    folder = StudyFolder.at(storage, study)
    record = folder.read()
    is_held = holder(folder.location) is not None
    found = find_trials(folder, record)
    if found is None:
        return [] if is_held else [f"the database has no study {study}: its trials are lost, or it never began"]
    trials = found.get_trials(deepcopy=False)
    return [
        *_of_identity(record, found),
        *_of_trials(trials, is_held),
        *_of_retries(trials),
        *_of_checkpoints(trials, folder.location, is_held),
        *_of_folders(trials, folder.location),
        *([] if is_held else _of_leaderboard(found, folder.location)),
        *_of_bundle(found, folder, record),
    ]


def _of_identity(record: StudyRecord, study: optuna.Study) -> Iterator[str]:
    if record.study != study.study_name:
        yield f"the record should be of study {study.study_name}, is of {record.study}"
    if record.study_id is not None and STUDY_ID not in study.user_attrs:
        yield f"the database should hold the study's id {record.study_id}, holds none"


def _of_trials(trials: Iterable[FrozenTrial], is_held: bool) -> Iterator[str]:
    for trial in trials:
        if trial.state == TrialState.RUNNING and not is_held and not trial.user_attrs.get(PAUSED):
            yield f"trial {trial.number} is RUNNING while nobody holds the study; --resume lets it wait"
        wrong = [step for step, value in trial.intermediate_values.items() if not math.isfinite(value)]
        if wrong:
            yield f"trial {trial.number} has values that are not finite, at epochs {', '.join(map(str, wrong))}"
        yield from _of_value(trial)


def _of_value(trial: FrozenTrial) -> Iterator[str]:
    if trial.state != TrialState.COMPLETE:
        return
    if trial.value is None or not math.isfinite(trial.value):
        yield f"trial {trial.number} is COMPLETE with the value {trial.value}"
    elif not trial.intermediate_values:
        yield f"trial {trial.number} is COMPLETE without the value of any epoch"
    elif not math.isclose(trial.value, max(trial.intermediate_values.values()), abs_tol=1e-9):
        best = max(trial.intermediate_values.values())
        yield f"trial {trial.number} is COMPLETE with {trial.value:.6f}, the best of its epochs is {best:.6f}"


def _of_retries(trials: Iterable[FrozenTrial]) -> Iterator[str]:
    retried: dict[int, int] = {}
    states = {trial.number: trial.state for trial in trials}
    for trial in trials:
        crashed = trial.user_attrs.get(RETRY_OF)
        if crashed is None:
            continue
        if crashed in retried:
            yield f"trials {retried[crashed]} and {trial.number} both repeat trial {crashed}"
        retried[crashed] = trial.number
        if states.get(crashed) != TrialState.FAIL:
            yield f"trial {trial.number} repeats trial {crashed}, which did not fail"


def _of_checkpoints(trials: Iterable[FrozenTrial], storage: Location, is_held: bool) -> Iterator[str]:
    """Finished trials beyond the best few gave theirs up; an unfinished one goes on from its newest."""
    named = [trial for trial in trials if CHECKPOINT in trial.user_attrs and FROM_STUDY not in trial.user_attrs]
    complete = [trial for trial in named if trial.state == TrialState.COMPLETE and trial.value is not None]
    best = sorted(complete, key=lambda trial: (trial.value, trial.user_attrs[CHECKPOINT]), reverse=True)[:NUM_KEPT]
    waiting = [trial for trial in named if not trial.state.is_finished()]
    for trial in [] if is_held else [*best, *waiting]:  # a driver replaces and deletes them while we look
        problem = problem_of_checkpoint(storage, trial.user_attrs[CHECKPOINT])
        if problem is not None:
            yield f"trial {trial.number}: its checkpoint {problem}"


def _of_folders(trials: Iterable[FrozenTrial], storage: Location) -> Iterator[str]:
    """A folder of Tune's is named after the trial's number in the database."""
    numbers = {trial.number for trial in trials}
    for run in (storage / _FOLDER).list_folder():
        for place in run.list_folder() if run.is_folder() else []:
            number = place.name.removeprefix("trial-")
            if number != place.name and number.isdecimal() and int(number) not in numbers:
                yield f"{place.uri} is of trial {int(number)}, which the database does not have"


def _of_leaderboard(study: optuna.Study, storage: Location) -> Iterator[str]:
    place = storage / LEADERBOARD
    if not place.exists():
        if ENDED in study.user_attrs and study.user_attrs[ENDED] is not None:
            yield f"the search is over and {LEADERBOARD} is missing"
        return
    try:
        told = Leaderboard.model_validate_json(place.read_bytes())
    except ValueError as problem:
        yield f"{LEADERBOARD} cannot be read: {' '.join(str(problem).split())[:120]}"
        return
    before = {row.number: row for row in told.root}
    now = {row.number: row for row in leaderboard(study).root}
    differing = sorted(number for number in before.keys() | now.keys() if before.get(number) != now.get(number))
    if differing:
        yield f"{LEADERBOARD} differs from the database at trials {', '.join(map(str, differing))}"


def _of_bundle(study: optuna.Study, folder: StudyFolder, record: StudyRecord) -> Iterator[str]:
    bundle_id = study.user_attrs.get(BUNDLE_ID)
    if bundle_id is None:
        return
    if study.user_attrs.get(ENDED) is None:
        yield f"bundle {bundle_id} is published of a search that is not over"
    try:
        _check_bundle(folder.registry / bundle_id, bundle_id, record)
    except SeplError as problem:
        yield str(problem)


def _check_bundle(place: Location, bundle_id: str, record: StudyRecord) -> None:
    """Raises BundleError, StorageError or StudyError; reads every file and loads no network."""
    if not (place / MANIFEST).exists():
        raise BundleError(f"bundle {bundle_id} is not in the registry, {place.uri} has no {MANIFEST}")
    manifest = parse_manifest((place / MANIFEST).read_bytes(), place.uri)
    if manifest.provenance.fingerprint != record.fingerprint:
        raise StudyError(
            f"bundle {bundle_id} should be of dataset {record.fingerprint}, is of {manifest.provenance.fingerprint}"
        )
    for name, expected in manifest.files.items():
        if sha256_of((place / name).read_bytes()) != expected:
            raise BundleError(f"bundle {bundle_id}: {name} is not what was published")
