"""How good a model is when values of its patients are known: beside itself without them, and the same values alone.

A gain that another patient's values bring too is none, and one that the values bring without a photograph is theirs.

    P patients · B resamples · T tasks
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sepl.metrics.bootstrap import Estimate, estimate, mean_estimate, resample_patients
from sepl.metrics.measures import skill_resamples
from sepl.settings import Settings
from sepl.tasks import TaskTable

Floats = NDArray[np.float64]


class KnownSkill(Settings):
    """Skills on the same patients and resamples."""

    unknown: Estimate
    """With nothing known."""
    known: Estimate
    known_over_unknown: Estimate
    floor: Estimate
    """Of the known values alone: linear or boosted trees, whichever did better on validation patients."""
    known_over_floor: Estimate
    shuffled: Estimate
    """With another patient's values; above that with nothing known only by chance."""


class KnownTaskEvaluation(Settings):
    """One task that is not among the known ones."""

    name: str
    num_patients: int
    skill: KnownSkill
    interval_coverage: Estimate | None
    """Share of labels inside the interval given what is known."""


class KnownEvaluation(Settings):
    """One set of known tasks, on the patients of whom all of them are known."""

    known: tuple[str, ...]
    num_patients: int
    mean_skill: KnownSkill
    tasks: tuple[KnownTaskEvaluation, ...]

    def __getitem__(self, name: str) -> KnownTaskEvaluation:
        return next(task for task in self.tasks if task.name == name)


@dataclass(frozen=True, eq=False)
class KnownPredictions:
    """In the tasks' units, probabilities for binary tasks, of the same patients."""

    unknown_PT: Floats
    known_PT: Floats
    low_PT: Floats
    """Ends of the intervals given what is known; NaN where there is none."""
    high_PT: Floats
    shuffled_PT: Floats
    floor_PT: Floats


def evaluate_known(
    known: Sequence[str],
    predictions: KnownPredictions,
    labels_PT: Floats,
    medians_T: Sequence[float],
    tasks: TaskTable,
    *,
    exact: Sequence[str] = (),
    num_bootstrap: int = 1000,
    seed: int = 0,
) -> KnownEvaluation:
    """Evaluates predictions per patient on the tasks that are not known, as `evaluate` does.

    Args:
        labels_PT: in the tasks' units, NaN where absent.
        medians_T: of the training labels.
        exact: tasks that follow from the known ones by a rule, which says nothing of a model.
    """
    weights_BP = resample_patients(len(labels_PT), num_bootstrap, seed)
    judged = [index for index, task in enumerate(tasks) if task.name not in (*known, *exact)]
    skills = {
        name: skill_resamples(values_PT, labels_PT, medians_T, tasks, weights_BP)
        for name, values_PT in (
            ("unknown", predictions.unknown_PT),
            ("known", predictions.known_PT),
            ("floor", predictions.floor_PT),
            ("shuffled", predictions.shuffled_PT),
        )
    }
    return KnownEvaluation(
        known=tuple(known),
        num_patients=len(labels_PT),
        mean_skill=_skill({name: skills_BT[:, judged] for name, skills_BT in skills.items()}),
        tasks=tuple(
            KnownTaskEvaluation(
                name=tasks.names[index],
                num_patients=int(np.isfinite(labels_PT[:, index]).sum()),
                skill=_skill({name: skills_BT[:, [index]] for name, skills_BT in skills.items()}),
                interval_coverage=_coverage(index, predictions, labels_PT, weights_BP),
            )
            for index in judged
        ),
    )


def _skill(skills: dict[str, Floats]) -> KnownSkill:
    return KnownSkill(
        unknown=mean_estimate(skills["unknown"]),
        known=mean_estimate(skills["known"]),
        known_over_unknown=mean_estimate(skills["known"] - skills["unknown"]),
        floor=mean_estimate(skills["floor"]),
        known_over_floor=mean_estimate(skills["known"] - skills["floor"]),
        shuffled=mean_estimate(skills["shuffled"]),
    )


def _coverage(index: int, predictions: KnownPredictions, labels_PT: Floats, weights_BP: Floats) -> Estimate | None:
    labels_P, low_P, high_P = labels_PT[:, index], predictions.low_PT[:, index], predictions.high_PT[:, index]
    present = np.isfinite(labels_P) & np.isfinite(low_P)
    if not present.any():
        return None
    is_inside_P = ((labels_P >= low_P) & (labels_P <= high_P))[present].astype(float)
    weights = weights_BP[:, present]
    total_B = weights.sum(axis=1)
    return estimate(weights @ is_inside_P / np.where(total_B == 0, np.nan, total_B))
