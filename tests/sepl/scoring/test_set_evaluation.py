import math

import numpy as np
import pytest
from graded import CAMERA, GRADES, MIXED, draw_levels

from sepl.bundle.manifest import Intervals
from sepl.bundle.skills import SET_SIZE
from sepl.metrics import Evaluation, evaluate
from sepl.scoring.level_sets import CalibratedLevels, calibrated_levels
from sepl.scoring.set_evaluation import sets_that_hold, with_set_sizes
from sepl.tasks import TaskSplit

GRADE, CLASS = MIXED.index("retinopathy"), MIXED.index("camera")


def judged() -> tuple[list[CalibratedLevels], np.ndarray, np.ndarray]:
    """Sets, values and labels (P, T) of 60 patients, ten of whom have no grade."""
    rng = np.random.default_rng(2)
    labels_PT = np.column_stack([rng.random(60) < 0.5, rng.normal([0, 50, 0, 120], [1, 9, 1, 9], (60, 4))]).astype(
        float
    )
    (grades_PK, labels_PT[:, GRADE]), (classes_PK, labels_PT[:, CLASS]) = (
        draw_levels(task, 60, rng) for task in (GRADES, CAMERA)
    )
    intervals = Intervals(set_thresholds={"retinopathy": 0.5, "camera": None})
    levels = [calibrated_levels(grades_PK, GRADES, intervals), calibrated_levels(classes_PK, CAMERA, intervals)]
    values_PT = labels_PT + rng.normal(0, 0.1, labels_PT.shape)
    values_PT[:, [GRADE, CLASS]] = labels_PT[:, [GRADE, CLASS]]
    labels_PT[:10, GRADE] = math.nan
    return levels, values_PT, labels_PT


def evaluated(levels: list[CalibratedLevels], values_PT: np.ndarray, labels_PT: np.ndarray) -> Evaluation:
    return evaluate(
        values_PT,
        labels_PT,
        labels_PT,
        MIXED,
        cohort_split="test",
        task_split=TaskSplit.parse("demographic", MIXED),
        in_sets=sets_that_hold(levels, labels_PT, MIXED),
        num_bootstrap=20,
    )


def test_coverage_is_the_share_of_labels_that_are_in_their_sets() -> None:
    levels, values_PT, labels_PT = judged()

    evaluation = evaluated(levels, values_PT, labels_PT)

    in_set_NL = levels[0].in_set_NL
    assert in_set_NL is not None
    holds = [in_set_NL[row, int(labels_PT[row, GRADE])] for row in range(10, 60)]
    coverage = evaluation["retinopathy"].interval_coverage
    assert coverage is not None
    assert coverage.value == pytest.approx(np.mean(holds))
    assert evaluation["camera"].interval_coverage is None


def test_the_size_of_sets_is_told_of_patients_with_a_label_and_of_tasks_with_sets() -> None:
    levels, values_PT, labels_PT = judged()
    evaluation = evaluated(levels, values_PT, labels_PT)

    found = with_set_sizes(evaluation, levels, labels_PT, MIXED)

    assert levels[0].in_set_NL is not None
    size = found["retinopathy"].measures[SET_SIZE]
    assert size.value == pytest.approx(levels[0].in_set_NL[10:].sum(axis=1).mean())
    assert size.value is not None
    assert size.low is not None
    assert size.low <= size.value
    assert {name: row for name, row in found["retinopathy"].measures.items() if name != SET_SIZE} == (
        evaluation["retinopathy"].measures
    )
    assert [row for row in found.tasks if row.name != "retinopathy"] == [
        row for row in evaluation.tasks if row.name != "retinopathy"
    ]
    assert Evaluation.parse_json(found.model_dump_json(), "evaluation") == found


def test_without_sets_an_evaluation_stays_as_it_is() -> None:
    levels, values_PT, labels_PT = judged()
    evaluation = evaluated(levels[1:], values_PT, labels_PT)

    assert with_set_sizes(evaluation, levels[1:], labels_PT, MIXED) is evaluation
