"""What a search will do, checked before anything is started: a wrong option or path costs one line, not a cluster."""

import hashlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sepl.bundle.conditioning import LEAST_JUDGED, parse_pattern
from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import ConfigError, StorageError, StudyError
from sepl.storage import check_writable, resolve
from sepl.training.affinity.record import Affinity
from sepl.tuning.probe.ask import wanted_probe
from sepl.tuning.probe.record import ProbeRecord
from sepl.tuning.record.ownership import new_study_id
from sepl.tuning.record.record import RECORD, StudyFolder, StudyRecord
from sepl.tuning.search.budget import parse_duration
from sepl.tuning.search.history import History, read_history, read_record
from sepl.tuning.search.proposals.prior import PriorTrial
from sepl.tuning.settings import StudySettings
from sepl.tuning.space.space import SearchSpace, load_space

_LEAST = {
    "num_trials": 1,
    "max_parameters": 1,
    "max_ms_per_photograph": 0,
    "gpu_hours": 0,
    "cpu_hours": 0,
    "price_per_hour": 0,
    "max_cost": 0,
    "trials_per_gpu": 1,
    "cpus_per_trial": 1,
    "grace_epochs": 1,
    "probe_heads": 1,
    "probe_cache_gb": 0,
    "checkpoint_seconds": 0,
    "seed": 0,
    "finalists": 1,
    "finalist_seeds": 1,
    "ensemble": 0,
}
_SAME = {
    "fingerprint": "--data",
    "space_sha256": "--space",
    "affinity_sha256": "--affinity",
    "optuna_url": "--optuna-url",
    "known_pattern": "--known-pattern",
    "sampler": "--sampler",
    "max_parameters": "--max-parameters",
    "max_ms_per_photograph": "--max-ms-per-photograph",
    "from_study": "--from-study",
}
"""What a resumed study has to have in common with its beginning, and the options that say so."""
_AS_BEFORE = ("known_pattern", "max_parameters", "max_ms_per_photograph", "from_study")
"""What a resumed study takes from its beginning where it is not said again."""
_NUM_OFFERED = 3
"""Task splits taken from an affinity."""


@dataclass(frozen=True)
class StudyPlan:
    """A study that can begin or go on."""

    settings: StudySettings
    folder: StudyFolder
    record: StudyRecord
    space: SearchSpace
    """On the tasks of the dataset."""
    seconds: float | None
    """The time budget."""
    affinity: bytes | None = None
    """The file of `jobs.affinity` that the study was given."""
    history: History | None = None
    """What it is still to take over from another study."""
    prior: tuple[PriorTrial, ...] = ()
    """What another study says of its space, for the proposals."""
    probe: Callable[..., ProbeRecord] | None = None
    """What to run before the trials (`wanted_probe`)."""


def plan_study(settings: StudySettings) -> StudyPlan:
    """Writes nothing. Raises ConfigError, DatasetError, StorageError or StudyError for whatever is wrong."""
    _check_numbers(settings)
    seconds = None if settings.time_budget is None else parse_duration(settings.time_budget)
    folder = StudyFolder.at(settings.storage, settings.study)
    optuna_url = folder.check_database(settings.optuna_url)
    settings = settings.model_copy(update={"optuna_url": optuna_url})
    space = load_space(settings.space)
    dataset = PreparedDataset.open(settings.data)
    _check_storage(folder)
    affinity = _read_affinity(settings, folder)
    record = _record(settings, folder, dataset, space, affinity)
    more_splits = () if affinity is None else _offered_splits(affinity, dataset, space)
    space = space.for_tasks(dataset.tasks, more_splits)
    history, prior = _history(settings, folder, record, space)
    probe = wanted_probe(settings, space, dataset)
    return StudyPlan(settings, folder, record, space, seconds, affinity, history, prior, probe)


def _history(
    settings: StudySettings, folder: StudyFolder, record: StudyRecord, space: SearchSpace
) -> tuple[History | None, tuple[PriorTrial, ...]]:
    if record.from_study is None:
        return None, ()
    taken = read_record(folder) if settings.resume else None
    if taken is not None:
        return None, taken.prior_trials()
    history = read_history(StudyFolder.at(settings.storage, record.from_study), record, space)
    return history, history.prior


def _check_storage(folder: StudyFolder) -> None:
    try:
        check_writable(folder.location / RECORD)
    except StorageError as problem:
        raise StorageError(f"--storage should be a folder that can be written to: {problem}") from None


def _read_affinity(settings: StudySettings, folder: StudyFolder) -> bytes | None:
    """The file named, or the one that a study to be resumed was given."""
    if settings.affinity is not None:
        return resolve(settings.affinity).read_bytes()
    return folder.affinity() if settings.resume else None


def _offered_splits(text: bytes, dataset: PreparedDataset, space: SearchSpace) -> list[str]:
    if not space.asks("task_split"):
        raise ConfigError(
            f"--affinity offers task splits, so --space should ask for task_split, which {space.name} does not"
        )
    affinity = Affinity.parse_json(text, "--affinity")
    if affinity.fingerprint != dataset.fingerprint:
        raise ConfigError(
            f"--affinity should be of dataset {dataset.fingerprint}, was measured on {affinity.fingerprint}"
        )
    return [split.task_split for split in affinity.splits[:_NUM_OFFERED]]


def _known_pattern(text: str, dataset: PreparedDataset) -> str:
    """As it is kept. Raises ConfigError for one that the dataset's validation patients cannot judge."""
    known = parse_pattern(text, dataset.tasks, "--known-pattern")
    photographs = dataset.photographs("validation")
    labels_PT = photographs.labels_per_patient(dataset.tasks)
    places = [dataset.tasks.index(name) for name in known]
    num_patients = int(np.isfinite(labels_PT[:, places]).all(axis=1).sum())
    if num_patients < LEAST_JUDGED:
        raise ConfigError(
            f"--known-pattern should be known of {LEAST_JUDGED} validation patients or more, {'+'.join(known)} was of "
            f"{num_patients}"
        )
    return "+".join(known)


def _check_numbers(settings: StudySettings) -> None:
    for name, least in _LEAST.items():
        value = getattr(settings, name)
        if value not in (None, "auto") and value < least:
            raise ConfigError(f"--{name.replace('_', '-')} should be at least {least}, was {value}")
    if settings.log is not None and importlib.util.find_spec(settings.log) is None:
        raise ConfigError(f"--log {settings.log} needs a package that is not installed: pip install {settings.log}")
    if settings.max_cost is not None and not settings.price_per_hour:
        raise ConfigError(f"--max-cost should come with --price-per-hour, was {settings.max_cost} without a price")


def _record(
    settings: StudySettings, folder: StudyFolder, dataset: PreparedDataset, space: SearchSpace, affinity: bytes | None
) -> StudyRecord:
    asked = StudyRecord(
        study=settings.study,
        study_id=new_study_id(),
        dataset=resolve(settings.data).uri,
        fingerprint=dataset.fingerprint,
        space=settings.space,
        space_sha256=space.source_sha256,
        num_epochs=space.num_epochs,
        seed=settings.seed,
        optuna_url=settings.optuna_url,
        affinity_sha256=None if affinity is None else hashlib.sha256(affinity).hexdigest(),
        known_pattern=None if settings.known_pattern is None else _known_pattern(settings.known_pattern, dataset),
        sampler=settings.sampler,
        max_parameters=settings.max_parameters,
        max_ms_per_photograph=settings.max_ms_per_photograph,
        from_study=settings.from_study,
    )
    if not settings.resume:
        if folder.exists():
            where = folder.location.uri
            raise StudyError(f"study {asked.study} exists at {where}; go on with --resume or choose another --study")
        return asked
    record = folder.read()
    unsaid = {name: getattr(record, name) for name in _AS_BEFORE if getattr(settings, name) is None}
    asked = asked.model_copy(update=unsaid)
    _check_same_question(record, asked)
    # a dataset that was moved, the same by its fingerprint, is used where it is now
    return record.model_copy(update={"study_id": record.study_id or asked.study_id, "dataset": asked.dataset})


def _check_same_question(record: StudyRecord, asked: StudyRecord) -> None:
    for name, option in _SAME.items():
        before, now = getattr(record, name), getattr(asked, name)
        if before != now:
            raise StudyError(f"{option} should be as when study {record.study} began; {name} was {before}, is {now}")
