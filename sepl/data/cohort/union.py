"""Several cohorts as one: the union of their tasks, labels absent where a cohort does not have them.

    a.toml ─► Cohort ─┐
    b.toml ─► Cohort ─┴─► one Cohort whose sites begin with the cohorts' names

Persons are joined by the chosen key: the ids of cohorts with the same `[ids] space` mean the same people, so that
nobody is in two cohort splits; ids of all other cohorts are their own, also where they are spelled alike.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from sepl.data.cohort.cohort import Cohort
from sepl.data.patients.splits import SplitOptions
from sepl.errors import CohortError
from sepl.storage import Location, resolve
from sepl.tasks import Task, TaskTable

_ALIKE = ("field_of_view", "clahe", "mirror_left", "quality")
"""What decides how a photograph is prepared, and so must be the same in all."""


def join_cohorts(cohorts: Sequence[Cohort], name: str | None = None) -> Cohort:
    """The cohorts as one, in their order; a single one as it is.

    Its name is theirs joined by +, unless given. A site is its cohort's name, or COHORT/SITE where the cohort tells
    sites, and options of the split that name sites are read within their cohort.

    Raises CohortError when two have one name, prepare photographs differently, keep them in different storages, define
    a task differently or ask for different stratification. Built-in tasks are in sepl's own units in every cohort.
    """
    if not cohorts:
        raise CohortError("a cohort file should be given, was none")
    first = cohorts[0]
    if len(cohorts) == 1:
        return first if name is None else replace(first, name=name)
    _check_names([cohort.name for cohort in cohorts])
    for other in cohorts[1:]:
        _check_alike(first, other)
    tasks = _join_tasks(cohorts)
    folder = _common_folder(cohorts)
    return replace(
        first,
        name=name or "+".join(cohort.name for cohort in cohorts),
        tasks=tasks,
        reachable_skill=_join_reachable_skill(cohorts),
        images_folder=folder,
        images=tuple(text for cohort in cohorts for text in _images_below(folder, cohort)),
        patients=tuple(text for cohort in cohorts for text in _persons(cohort)),
        split_keys=_all(cohort.patients for cohort in cohorts),
        eyes=_all(cohort.eyes for cohort in cohorts),
        rows=np.concatenate([cohort.rows for cohort in cohorts]),
        labels_NT=np.concatenate([_labels_in(tasks, cohort) for cohort in cohorts]),
        frames=np.concatenate([cohort.frames for cohort in cohorts]),
        visits=_all(cohort.visits for cohort in cohorts),
        sites=tuple(text for cohort in cohorts for text in _sites(cohort)),
        cameras=_all(cohort.cameras for cohort in cohorts),
        parts=tuple(cohort.name for cohort in cohorts for _ in cohort.images),
        split=_join_splits(cohorts),
        known_patterns=_join_patterns(cohorts),
        findings=tuple(
            replace(finding, table=f"{cohort.name}: {finding.table}".removesuffix(": "))
            for cohort in cohorts
            for finding in cohort.findings
        ),
    )


def _all(parts: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(text for part in parts for text in part)


def _check_names(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise CohortError(f"cohorts that are prepared together should have a name each; twice: {', '.join(twice)}")


def _check_alike(first: Cohort, other: Cohort) -> None:
    for key in _ALIKE:
        one, two = getattr(first, key), getattr(other, key)
        if one != two:
            raise CohortError(
                f"{other.source}: {key} should be as in {first.source}, {_shown(one)}, was {_shown(two)}: photographs "
                f"of one dataset are prepared alike"
            )


def _shown(value: object) -> str:
    return str(value) if isinstance(value, bool) else " ".join(repr(value).split())


def _join_tasks(cohorts: Sequence[Cohort]) -> TaskTable:
    """Every task once, in the order of first appearance, as the first cohort that has it defines it."""
    joined: dict[str, tuple[Task, Cohort]] = {}
    for cohort in cohorts:
        for task in cohort.tasks:
            if task.name not in joined:
                joined[task.name] = (task, cohort)
                continue
            known, where = joined[task.name]
            _check_task(known, task, f"{cohort.source}, [tasks.{task.name}]", str(where.source))
            derived = dict.fromkeys((*known.derived_from, *task.derived_from))
            joined[task.name] = (known.model_copy(update={"derived_from": tuple(derived)}), where)
    return TaskTable.of(task for task, _ in joined.values())


def _check_task(known: Task, task: Task, section: str, where: str) -> None:
    if known.kind != task.kind:
        raise CohortError(f"{section}: kind should be {known.kind}, as in {where}, was {task.kind}")
    if known.unit != task.unit:
        raise CohortError(f"{section}: unit should be {known.unit}, as in {where}, was {task.unit}")
    if known.levels != task.levels:
        levels = ", ".join(known.levels)
        raise CohortError(f"{section}: levels should be {levels}, as in {where}, were {', '.join(task.levels)}")
    if known.patient != task.patient:
        raise CohortError(f"{section}: patient should be {known.patient}, as in {where}, was {task.patient}")


def _labels_in(tasks: TaskTable, cohort: Cohort) -> NDArray[np.float64]:
    """(N, T) the cohort's labels in the joined tasks' order; absent where beyond the joined plausible range."""
    labels_NT = np.full((len(cohort.images), len(tasks)), np.nan)
    for column, own in enumerate(cohort.tasks):
        task, values_N = tasks[own.name], cohort.labels_NT[:, column]
        low = -np.inf if task.low is None else task.low
        high = np.inf if task.high is None else task.high
        labels_NT[:, tasks.index(own.name)] = np.where((values_N >= low) & (values_N <= high), values_N, np.nan)
    return labels_NT


def _join_reachable_skill(cohorts: Sequence[Cohort]) -> dict[str, float]:
    """Only of tasks of which every cohort that has them says it; the least."""
    reachable: dict[str, float] = {}
    for name in dict.fromkeys(name for cohort in cohorts for name in cohort.reachable_skill):
        told = [cohort.reachable_skill.get(name) for cohort in cohorts if name in cohort.tasks.names]
        if all(value is not None for value in told):
            reachable[name] = min(value for value in told if value is not None)
    return reachable


def _common_folder(cohorts: Sequence[Cohort]) -> Location:
    """The deepest folder that holds all photographs."""
    folders = [cohort.images_folder for cohort in cohorts]
    first = folders[0]
    for cohort, folder in zip(cohorts, folders, strict=True):
        if folder.filesystem != first.filesystem or _options(folder) != _options(first):
            raise CohortError(
                f"{cohort.source}: images should be in the same storage as those of {cohorts[0].source}, "
                f"{first.uri}; were in {folder.uri}"
            )
    common = os.path.commonpath([folder.path for folder in folders])
    if first.is_local:
        return resolve(common)
    if not common:
        raise CohortError(f"{cohorts[-1].source}: images should be in the same bucket as those of {cohorts[0].source}")
    below = PurePosixPath(first.path).relative_to(common)
    address, question, query = first.uri.partition("?")
    depth = len(below.parts)
    address = "/".join(address.rstrip("/").split("/")[:-depth]) if depth else address
    return Location(first.filesystem, common, f"{address}{question}{query}")


def _options(location: Location) -> str:
    return location.uri.partition("?")[2]


def _images_below(folder: Location, cohort: Cohort) -> Iterable[str]:
    prefix = PurePosixPath(cohort.images_folder.path).relative_to(folder.path).as_posix()
    return cohort.images if prefix == "." else (f"{prefix}/{image}" for image in cohort.images)


def _persons(cohort: Cohort) -> Iterable[str]:
    """Ids that are alike only where the same person is meant; without a space of ids, within the cohort."""
    space = cohort.name if cohort.id_space is None else cohort.id_space
    return (f"{space}:{patient}" for patient in cohort.patients)


def _sites(cohort: Cohort) -> Iterable[str]:
    return (f"{cohort.name}/{site}" if site else cohort.name for site in cohort.sites)


def _join_patterns(cohorts: Sequence[Cohort]) -> tuple[tuple[str, ...], ...] | None:
    """Each that any of them declares, once; None: nobody did."""
    declared = [cohort.known_patterns for cohort in cohorts if cohort.known_patterns is not None]
    return tuple(dict.fromkeys(pattern for patterns in declared for pattern in patterns)) if declared else None


def _join_splits(cohorts: Sequence[Cohort]) -> SplitOptions:
    """A cohort's external test sites are its own; how patients are stratified is asked for alike by all."""
    first = cohorts[0]
    for other in cohorts[1:]:
        wanted, was = (", ".join(cohort.split.stratify_by) or "nothing" for cohort in (first, other))
        if was != wanted:
            raise CohortError(
                f"{other.source}: [split] stratify_by should be as in {first.source}, {wanted}, was {was}"
            )
    external = tuple(f"{cohort.name}/{site}" for cohort in cohorts for site in cohort.split.external_test_sites)
    return SplitOptions(stratify_by=first.split.stratify_by, external_test_sites=external)
