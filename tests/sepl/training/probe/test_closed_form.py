"""Regressions on features, for every kind of task."""

import numpy as np
from planted_data import GRADED_TASKS

from sepl.metrics import skill_per_task
from sepl.tasks import BUILT_IN_TASKS
from sepl.training.probe.closed_form import closed_form, closed_form_values


def test_a_finding_that_a_single_patient_has_is_predicted_alike_for_all() -> None:
    labels_P = np.array([1.0, 0.0, 0.0, 0.0, np.nan])

    values_P = closed_form(
        BUILT_IN_TASKS["sex"], np.random.default_rng(0).normal(size=(5, 3)), labels_P, np.ones((2, 3))
    )

    assert values_P.tolist() == [0.25, 0.25]


def test_a_task_without_a_label_is_predicted_alike_for_all() -> None:
    values_P = closed_form(BUILT_IN_TASKS["sbp"], np.ones((3, 2)), np.full(3, np.nan), np.ones((2, 2)))

    assert values_P.tolist() == [0.0, 0.0]


def test_every_kind_of_task_is_read_off_features_that_show_it_and_grades_come_as_levels() -> None:
    rng = np.random.default_rng(0)
    severity_P, male_P, lens_P = rng.normal(size=300), rng.random(300) < 0.5, rng.integers(0, 3, 300)
    pressure_P = rng.normal(size=300)
    grade_P = np.digitize(severity_P, [-0.4, 0.4, 1.2]).astype(float)
    labels_PT = np.column_stack([grade_P, male_P, lens_P, 120 + 15 * pressure_P, grade_P]).astype(float)
    features_PF = np.column_stack([severity_P, male_P, lens_P == 0, lens_P == 1, pressure_P]).astype(float)
    features_PF += rng.normal(0, 0.05, features_PF.shape)
    labels_PT[::7] = np.nan

    values_PT = closed_form_values(GRADED_TASKS, features_PF[:200], labels_PT[:200], features_PF[200:])
    skills_T = skill_per_task(values_PT, labels_PT[200:], (1.0, 0.0, 0.0, 120.0, 1.0), GRADED_TASKS)

    assert values_PT.shape == (100, 5)
    assert set(values_PT[:, 0]) <= {0.0, 1.0, 2.0, 3.0}
    assert set(values_PT[:, 2]) <= {0.0, 1.0, 2.0}
    assert skills_T.min() > 0.7
