"""How good a bundle is on patients of whom some values are known, one set of known tasks after the other.

P patients · R of these, of whom all of a set is known · T tasks · O outputs
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sepl.bundle.format import BundleManifest
from sepl.data.dataset.dataset import PreparedDataset
from sepl.metrics.bootstrap import median_of_present
from sepl.metrics.floor import fit_known_floor
from sepl.metrics.known import KnownEvaluation, KnownPredictions, evaluate_known
from sepl.scoring.intervals import CalibratedValues
from sepl.scoring.known import NOTHING, Given, network_told, score_known
from sepl.scoring.relations import implied, relations_of
from sepl.scoring.scorer import Scorer
from sepl.scoring.told import as_known, told_per_patient
from sepl.tasks import TaskTable

Floats = NDArray[np.float64]


def evaluate_patterns(
    patterns: Sequence[tuple[str, ...]],
    scorer: Scorer,
    dataset: PreparedDataset,
    cohort_split: str,
    outputs_PO: Floats,
    *,
    num_bootstrap: int = 1000,
) -> tuple[KnownEvaluation, ...]:
    """Each set of known tasks on the patients of whom all of them are known.

    A set without two such patients is left out, and one that leaves nothing to predict but grades and classes, which
    are neither known nor moved by what is.

    The floor is fitted on the dataset's train patients.

    Args:
        outputs_PO: of the network with nothing known, of the cohort split's patients.
    """
    manifest = scorer.bundle.manifest
    train_PT, validation_PT, labels_PT = (_labels(dataset, name) for name in ("train", "validation", cohort_split))
    cases = [case for names in patterns for case in _cases(names, outputs_PO, labels_PT, manifest)]
    scored = _score(cases, scorer, dataset, cohort_split)
    tasks, numbers = _numbers(manifest.tasks)
    train_PT, validation_PT, labels_PT = (own_PT[:, numbers] for own_PT in (train_PT, validation_PT, labels_PT))
    medians_T = [median_of_present(train_PT[:, index]) for index in range(len(tasks))]
    found = []
    for place in range(0, len(cases), _NUM_CASES):
        case, (unknown, known, shuffled) = cases[place], scored[place : place + _NUM_CASES]
        own_RT = labels_PT[case.rows]
        predictions = KnownPredictions(
            unknown_PT=unknown.values_NT[:, numbers],
            known_PT=known.values_NT[:, numbers],
            low_PT=known.low_NT[:, numbers],
            high_PT=known.high_NT[:, numbers],
            shuffled_PT=shuffled.values_NT[:, numbers],
            floor_PT=fit_known_floor(train_PT, validation_PT, own_RT, tasks, case.names),
        )
        found.append(
            evaluate_known(
                case.names,
                predictions,
                own_RT,
                medians_T,
                tasks,
                exact=case.exact,
                num_bootstrap=num_bootstrap,
            )
        )
    return tuple(found)


@dataclass(frozen=True, eq=False)
class _Case:
    """What is given of the patients of whom all of a set is known."""

    names: tuple[str, ...]
    rows: NDArray[np.int64]
    outputs_RO: Floats
    given: Sequence[Given]
    exact: tuple[str, ...]
    """Tasks that follow from these by a rule."""


_NUM_CASES = 3
"""Of a set: nothing, its values, those of another patient."""


def _cases(names: tuple[str, ...], outputs_PO: Floats, labels_PT: Floats, manifest: BundleManifest) -> Sequence[_Case]:
    tasks = manifest.tasks
    exact = implied(names, relations_of(tasks, manifest.rules))
    places = [tasks.index(name) for name in names]
    rows = np.flatnonzero(np.isfinite(labels_PT[:, places]).all(axis=1))
    if len(rows) < 2 or {*_numbers(tasks)[0].names} <= {*names, *exact}:
        return ()
    values_RK = as_known(labels_PT[rows], tasks)[:, places]
    given = [Given(dict(zip(names, values_K, strict=True))) for values_K in values_RK.tolist()]
    others = [given[place - 1] for place in range(len(given))]
    return [_Case(names, rows, outputs_PO[rows], told, exact) for told in ([NOTHING] * len(given), given, others)]


def _score(
    cases: Sequence[_Case], scorer: Scorer, dataset: PreparedDataset, cohort_split: str
) -> Sequence[CalibratedValues]:
    manifest = scorer.bundle.manifest
    told = _told(cases, scorer, dataset, cohort_split) if scorer.network.takes_known else [None] * len(cases)
    return [
        score_known(case.outputs_RO, case.given, manifest, told_RO).found
        for case, told_RO in zip(cases, told, strict=True)
    ]


def _told(cases: Sequence[_Case], scorer: Scorer, dataset: PreparedDataset, cohort_split: str) -> Sequence[Floats]:
    """Outputs (R, O) of the network when it is told, by case."""
    manifest: BundleManifest = scorer.bundle.manifest
    num_patients = dataset.photographs(cohort_split).num_patients
    tables = []
    for case in cases:
        table_PT = np.full((num_patients, len(manifest.tasks)), np.nan)
        table_PT[case.rows] = network_told(case.outputs_RO, case.given, manifest)
        tables.append(table_PT)
    told = told_per_patient(scorer, dataset, cohort_split, tables)
    return [told_PO[case.rows] for case, told_PO in zip(cases, told, strict=True)]


def _labels(dataset: PreparedDataset, cohort_split: str) -> Floats:
    photographs = dataset.photographs(cohort_split)
    return photographs.labels_per_patient(dataset.tasks)


def _numbers(tasks: TaskTable) -> tuple[TaskTable, NDArray[np.int64]]:
    """The tasks that are no grades or classes, and their places."""
    places = [index for index, task in enumerate(tasks) if not task.is_graded]
    return TaskTable.of(tasks.root[index] for index in places), np.array(places)
