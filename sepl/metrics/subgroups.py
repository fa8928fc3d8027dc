"""How good a model is for some of the patients: by sex, age, site, camera.

P patients · N photographs · T tasks
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sepl.metrics.bootstrap import Estimate, estimate, mean_estimate, resample_patients
from sepl.metrics.measures import skill_resamples
from sepl.settings import Settings
from sepl.tasks import TaskTable

Floats = NDArray[np.float64]
Groups = Mapping[str, NDArray[np.str_]]
"""By what patients are told apart, each patient's (P,) group; "" where nobody tells."""

LEAST = 20
"""Patients of a group of whom a figure is said: of fewer its interval would be as wide as the scale."""
_AGES = (40, 50, 60, 70)
_YOUNG = "under "


class SubgroupEvaluation(Settings):
    """One group of patients of the cohort split."""

    by: str
    """Sex, age, site or camera."""
    group: str
    num_patients: int
    mean_skill: Estimate | None
    """Over the tasks that these patients can judge, against the same median predictor; None of fewer than `LEAST`."""
    tasks: dict[str, Estimate] = Field(default_factory=dict)
    """Skill of every task; empty of fewer than `LEAST`."""


def evaluate_subgroups(
    values_PT: Floats,
    labels_PT: Floats,
    medians_T: Sequence[float],
    tasks: TaskTable,
    groups: Groups,
    *,
    num_bootstrap: int,
    seed: int,
) -> tuple[SubgroupEvaluation, ...]:
    """Of every group, in the order of `groups` and then by name; arguments are those of `evaluate`.

    Nothing is told of what does not tell at least two groups apart: of one it would repeat the whole.
    """
    found = []
    for by, group_P in groups.items():
        names = sorted({str(name) for name in group_P if name}, key=lambda name: (not name.startswith(_YOUNG), name))
        for name in names if len(names) > 1 else ():
            rows = np.flatnonzero(group_P == name)
            skills = {}
            mean = None
            if len(rows) >= LEAST:
                weights_BP = resample_patients(len(rows), num_bootstrap, seed)
                skills_BT = skill_resamples(values_PT[rows], labels_PT[rows], medians_T, tasks, weights_BP)
                mean = mean_estimate(skills_BT)
                skills = {task: estimate(skills_B) for task, skills_B in zip(tasks.names, skills_BT.T, strict=True)}
            found.append(SubgroupEvaluation(by=by, group=name, num_patients=len(rows), mean_skill=mean, tasks=skills))
    return tuple(found)


def patient_groups(
    labels_PT: Floats,
    tasks: TaskTable,
    sites_N: NDArray[np.str_],
    cameras_N: NDArray[np.str_],
    patient_N: NDArray[np.int64],
) -> Groups:
    """By sex and age band where the tasks have them, by site and camera where the photographs tell.

    A patient's site and camera are the most frequent of the photographs', the first by name among equals.
    """
    groups: dict[str, NDArray[np.str_]] = {}
    if "sex" in tasks.names:
        groups["sex"] = _sexes(labels_PT[:, tasks.index("sex")])
    if "age" in tasks.names:
        groups["age"] = _age_bands(labels_PT[:, tasks.index("age")])
    for by, texts_N in (("site", sites_N), ("camera", cameras_N)):
        if (texts_N != "").any():
            groups[by] = _usual(texts_N, patient_N, len(labels_PT))
    return groups


def _sexes(labels_P: Floats) -> NDArray[np.str_]:
    return np.where(np.isnan(labels_P), "", np.where(labels_P > 0.5, "male", "female"))


def _age_bands(years_P: Floats) -> NDArray[np.str_]:
    names = [f"{_YOUNG}{_AGES[0]}", *(f"{low} to {low + 9}" for low in _AGES[:-1]), f"from {_AGES[-1]}"]
    bands_P = np.array(names)[np.digitize(np.nan_to_num(years_P), _AGES)]
    return np.where(np.isnan(years_P), "", bands_P)


def _usual(texts_N: NDArray[np.str_], patient_N: NDArray[np.int64], num_patients: int) -> NDArray[np.str_]:
    names, name_N = np.unique(texts_N, return_inverse=True)
    counts_PG = np.zeros((num_patients, len(names)), np.int64)
    told_N = texts_N != ""
    np.add.at(counts_PG, (patient_N[told_N], name_N[told_N]), 1)
    return np.where(counts_PG.any(axis=1), names[counts_PG.argmax(axis=1)], "")
