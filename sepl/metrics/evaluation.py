"""An evaluation: every figure with its interval, beside the median predictor and the floor.

P patients · B resamples · T tasks
"""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sepl.metrics.bootstrap import Estimate, estimate, mean_estimate, median_of_present, resample_patients
from sepl.metrics.floor import fit_floor
from sepl.metrics.grades import count_confusions, usual_level
from sepl.metrics.known import KnownEvaluation
from sepl.metrics.measures import measures_of, skill_resamples
from sepl.metrics.subgroups import Groups, SubgroupEvaluation, evaluate_subgroups
from sepl.metrics.weighted import weighted_mean
from sepl.settings import Settings
from sepl.tasks import Task, TaskKind, TaskRole, TaskSplit, TaskTable

Floats = NDArray[np.float64]


class TaskEvaluation(Settings):
    """One task on one cohort split."""

    name: str
    kind: TaskKind
    unit: str
    label: str
    role: TaskRole
    num_patients: int
    """Patients of the cohort split that have this label."""
    num_positive: int | None
    """Of these, the positive ones of a binary task."""
    skill: Estimate
    floor_skill: Estimate
    skill_over_floor: Estimate
    """Paired difference on the same resamples."""
    reachable_skill: float | None
    """Best skill that photographs allow, known for simulated cohorts only."""
    measures: dict[str, Estimate]
    """mae, median_mae (the median predictor's), rmse, r2; or auc, brier; of an ordinal task kappa, accuracy, mae, of a
    categorical one balanced_accuracy, accuracy, and as usual_… what the most frequent training level has."""
    interval_coverage: Estimate | None
    """Share of labels inside the model's prediction interval, or set of levels, if it has one for this task."""
    levels: tuple[str, ...] = ()
    """Of a graded task."""
    confusion: tuple[tuple[int, ...], ...] | None = None
    """Of a graded task, its patients by level: rows the true one, columns the predicted one."""

    @model_validator(mode="after")
    def _confusion_suits_the_levels(self) -> Self:
        if self.confusion is None:
            return self
        sizes = {len(self.confusion), *map(len, self.confusion)}
        if sizes != {len(self.levels)} or min(count for row in self.confusion for count in row) < 0:
            raise ValueError(
                f"confusion of {self.name} should be {len(self.levels)} rows of as many counts, one a level, was "
                f"{self.confusion}"
            )
        return self


class Evaluation(Settings):
    """How good a model is on the patients of one cohort split, each counted once (mean of the photographs)."""

    cohort_split: str
    num_patients: int
    num_train_patients: int
    """Patients that the median predictor and the floor were fitted on."""
    num_bootstrap: int
    mean_skill: Estimate
    prior_mean_skill: Estimate
    target_mean_skill: Estimate
    floor_mean_skill: Estimate
    """Over the tasks for which a floor exists; `mean_skill_over_floor` compares on the same tasks."""
    mean_skill_over_floor: Estimate
    tasks: tuple[TaskEvaluation, ...]
    known: tuple[KnownEvaluation, ...] = ()
    """How good it is on the same patients when values of theirs are known, by declared pattern."""
    subgroups: tuple[SubgroupEvaluation, ...] = Field(default=(), exclude_if=operator.not_)
    """How good it is for some of them; empty where nothing tells patients apart."""

    def __getitem__(self, name: str) -> TaskEvaluation:
        return next(task for task in self.tasks if task.name == name)


@dataclass(frozen=True, eq=False)
class _Sample:
    """The patients who are judged, and what their predictions are held against."""

    values_PT: Floats
    labels_PT: Floats
    medians_T: Sequence[float]
    """Of the training labels; of graded tasks the most frequent level."""
    weights_BP: Floats
    half_widths: Mapping[str, float | None]
    in_sets: Mapping[str, NDArray[np.bool_]]
    reachable_skill: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class _Skills:
    """Row 0 is the sample itself, the others its resamples."""

    model_BT: Floats
    floor_BT: Floats


def evaluate(
    values_PT: Floats,
    labels_PT: Floats,
    train_labels_PT: Floats,
    tasks: TaskTable,
    *,
    cohort_split: str,
    task_split: TaskSplit,
    half_widths: Mapping[str, float | None] | None = None,
    in_sets: Mapping[str, NDArray[np.bool_]] | None = None,
    reachable_skill: Mapping[str, float] | None = None,
    groups: Groups | None = None,
    num_bootstrap: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Evaluates predictions per patient.

    Intervals are percentile intervals over `num_bootstrap` resamples of *patients*; all tasks and the
    floor share the resamples, so that differences are paired.

    Args:
        values_PT: predictions in the tasks' units, probabilities for binary tasks, mean over a patient's photographs;
            places of the predicted levels for graded tasks.
        labels_PT: labels in the tasks' units, NaN where absent; places of levels for graded tasks.
        train_labels_PT: the training patients' labels, for the median predictor and the floor.
        half_widths: half widths of the prediction intervals, in units, by task.
        in_sets: of graded tasks that have sets of levels instead, by task, whether each patient's (P,) holds the label.
        reachable_skill: by task, where known.
        groups: of the patients, as `patient_groups` has them.
    """
    weights_BP = resample_patients(len(labels_PT), num_bootstrap, seed)
    medians_T = _constants(train_labels_PT, tasks)
    sample = _Sample(
        values_PT, labels_PT, medians_T, weights_BP, half_widths or {}, in_sets or {}, reachable_skill or {}
    )
    floor_PT = fit_floor(train_labels_PT, labels_PT, tasks)
    skills = _Skills(
        model_BT=skill_resamples(values_PT, labels_PT, medians_T, tasks, weights_BP),
        floor_BT=skill_resamples(floor_PT, labels_PT, medians_T, tasks, weights_BP),
    )
    has_floor_T = np.isfinite(skills.floor_BT[0])
    return Evaluation(
        cohort_split=cohort_split,
        num_patients=len(labels_PT),
        num_train_patients=len(train_labels_PT),
        num_bootstrap=num_bootstrap,
        mean_skill=mean_estimate(skills.model_BT),
        prior_mean_skill=mean_estimate(skills.model_BT[:, _columns(task_split.priors, tasks)]),
        target_mean_skill=mean_estimate(skills.model_BT[:, _columns(task_split.targets, tasks)]),
        floor_mean_skill=mean_estimate(skills.floor_BT[:, has_floor_T]),
        mean_skill_over_floor=mean_estimate((skills.model_BT - skills.floor_BT)[:, has_floor_T]),
        tasks=tuple(
            _evaluate_task(index, task, task_split.role(task.name), sample, skills) for index, task in enumerate(tasks)
        ),
        subgroups=evaluate_subgroups(
            values_PT, labels_PT, medians_T, tasks, groups or {}, num_bootstrap=num_bootstrap, seed=seed
        ),
    )


def _constants(train_labels_PT: Floats, tasks: TaskTable) -> list[float]:
    """By task, what the constant predictor says."""
    return [
        (usual_level if task.is_graded else median_of_present)(train_labels_PT[:, index])
        for index, task in enumerate(tasks)
    ]


def _evaluate_task(index: int, task: Task, role: TaskRole, sample: _Sample, skills: _Skills) -> TaskEvaluation:
    values_P, labels_P = sample.values_PT[:, index], sample.labels_PT[:, index]
    return TaskEvaluation(
        name=task.name,
        kind=task.kind,
        unit=task.unit,
        label=task.label,
        role=role,
        num_patients=int(np.isfinite(labels_P).sum()),
        num_positive=int((labels_P > 0.5).sum()) if task.kind == "binary" else None,
        skill=estimate(skills.model_BT[:, index]),
        floor_skill=estimate(skills.floor_BT[:, index]),
        skill_over_floor=estimate(skills.model_BT[:, index] - skills.floor_BT[:, index]),
        reachable_skill=sample.reachable_skill.get(task.name),
        measures=_measures(task, values_P, labels_P, sample.medians_T[index], sample.weights_BP),
        interval_coverage=_coverage(_is_inside(task, sample, values_P, labels_P), labels_P, sample.weights_BP),
        levels=task.levels,
        confusion=count_confusions(values_P, labels_P, len(task.levels)) if task.is_graded else None,
    )


def _columns(names: Sequence[str], tasks: TaskTable) -> list[int]:
    return [tasks.index(name) for name in names]


def _measures(task: Task, values_P: Floats, labels_P: Floats, median: float, weights_BP: Floats) -> dict[str, Estimate]:
    present = np.isfinite(labels_P)
    values, labels, weights = values_P[present].astype(float), labels_P[present], weights_BP[:, present]
    if not present.any():
        return {name: estimate(np.full(1, np.nan)) for name in measures_of(task, median)}
    return {name: estimate(measure(values, labels, weights)) for name, measure in measures_of(task, median).items()}


def _is_inside(task: Task, sample: _Sample, values_P: Floats, labels_P: Floats) -> NDArray[np.bool_] | None:
    """(P,) whether the interval or set holds the label; None where the model has none for this task."""
    half_width = sample.half_widths.get(task.name)
    if half_width is None:
        return sample.in_sets.get(task.name)
    return np.abs(values_P - labels_P) <= half_width


def _coverage(is_inside_P: NDArray[np.bool_] | None, labels_P: Floats, weights_BP: Floats) -> Estimate | None:
    present = np.isfinite(labels_P)
    if is_inside_P is None or not present.any():
        return None
    return estimate(weighted_mean(is_inside_P[present].astype(float), weights_BP[:, present]))
