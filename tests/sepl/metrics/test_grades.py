"""Measures of levels: scikit-learn's on repeated patients, and what chance and a constant predictor have."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import accuracy_score, balanced_accuracy_score, cohen_kappa_score, confusion_matrix

from sepl.metrics import grades, skill_per_task
from sepl.tasks import Task, TaskTable

NUM_LEVELS = 5
NAMES = tuple("abcde")
GRADE = Task(name="grade", kind="ordinal", unit="level", label="Grade", levels=NAMES)
CLASS = Task(name="kind", kind="categorical", unit="level", label="Class", levels=NAMES)
LEVELS = arrays(np.float64, 30, elements=st.integers(0, NUM_LEVELS - 1).map(float))
COUNTS = arrays(np.int64, 30, elements=st.integers(0, 4)).filter(np.any)


@given(values=LEVELS, labels=LEVELS, counts=COUNTS)
def test_kappa_is_scikit_learns_on_repeated_patients(values, labels, counts):
    repeated = np.repeat(labels, counts), np.repeat(values, counts)

    found = grades.quadratic_kappa(values, labels, counts[None].astype(float))[0]

    if len({*repeated[0], *repeated[1]}) < 2:
        assert np.isnan(found)
    else:
        all_levels = np.arange(NUM_LEVELS)  # or it would take levels beside an absent one for neighbours
        assert found == pytest.approx(cohen_kappa_score(*repeated, labels=all_levels, weights="quadratic"), abs=1e-12)


@given(values=LEVELS, labels=LEVELS, counts=COUNTS)
def test_skill_of_classes_is_scikit_learns_adjusted_balanced_accuracy(values, labels, counts):
    repeated = np.repeat(labels, counts), np.repeat(values, counts)
    weights = counts[None].astype(float)

    found = grades.grade_skill(CLASS, values, labels, weights)[0]

    assert grades.num_classes(labels, weights)[0] == len({*repeated[0]})
    if len({*repeated[0]}) < 2:
        assert np.isnan(found)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a predicted class that no patient has
            expected = balanced_accuracy_score(*repeated, adjusted=True)
        assert found == pytest.approx(expected, abs=1e-12)


@given(values=LEVELS, labels=LEVELS, counts=COUNTS)
def test_accuracy_is_scikit_learns_on_repeated_patients(values, labels, counts):
    found = grades.accuracy(values, labels, counts[None].astype(float))[0]

    assert found == pytest.approx(accuracy_score(np.repeat(labels, counts), np.repeat(values, counts)))


@given(values=LEVELS, labels=LEVELS, data=st.data())
def test_the_order_of_patients_does_not_matter(values, labels, data):
    order = np.array(data.draw(st.permutations(range(30))))
    weights = np.arange(60.0).reshape(2, 30) % 5

    for task in (GRADE, CLASS):
        np.testing.assert_allclose(
            grades.grade_skill(task, values[order], labels[order], weights[:, order]),
            grades.grade_skill(task, values, labels, weights),
            atol=1e-12,
        )


@given(labels=LEVELS.filter(lambda labels: len(np.unique(labels)) > 1), level=st.integers(0, NUM_LEVELS - 1))
@pytest.mark.parametrize("task", [GRADE, CLASS], ids=lambda task: task.kind)
def test_one_level_for_all_has_no_skill_and_the_labels_themselves_have_all_of_it(task, labels, level):
    tasks = TaskTable.of([task])

    constant = skill_per_task(np.full((30, 1), float(level)), labels[:, None], [0.0], tasks)
    perfect = skill_per_task(labels[:, None], labels[:, None], [0.0], tasks)

    assert constant == pytest.approx([0.0], abs=1e-12)
    assert perfect == pytest.approx([1.0])


@pytest.mark.parametrize("task", [GRADE, CLASS], ids=lambda task: task.kind)
def test_patients_of_one_level_give_no_skill(task):
    values_PT, labels_PT = np.array([[1.0], [2.0], [1.0]]), np.array([[2.0], [2.0], [np.nan]])

    assert np.isnan(skill_per_task(values_PT, labels_PT, [0.0], TaskTable.of([task]))).all()


def test_a_grade_that_is_further_off_costs_more_and_another_class_as_much_as_any():
    labels = np.tile(np.arange(5.0), 20)
    near, far = np.minimum(labels + 1, 4), np.where(labels < 4, 4, 3)

    kappas = [grades.grade_skill(GRADE, values, labels, np.ones((1, 100)))[0] for values in (near, far.astype(float))]
    skills = [grades.grade_skill(CLASS, values, labels, np.ones((1, 100)))[0] for values in (near, near[::-1])]

    assert kappas[0] > 0.7 > 0.3 > kappas[1]
    assert skills[0] == pytest.approx(0.0)
    assert skills[1] <= 0.0


@given(values=LEVELS, labels=arrays(np.float64, 30, elements=st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0, np.nan])))
def test_confusions_are_scikit_learns_and_leave_out_who_has_no_label(values, labels):
    present = np.isfinite(labels)

    found = np.array(grades.count_confusions(values, labels, NUM_LEVELS))

    assert found.sum() == present.sum()
    if present.any():
        expected = confusion_matrix(labels[present], values[present], labels=np.arange(NUM_LEVELS))
        np.testing.assert_array_equal(found, expected)


def test_the_usual_level_is_the_most_frequent_one_the_first_of_equals():
    assert grades.usual_level(np.array([2.0, np.nan, 1.0, 2.0, 1.0, 3.0])) == 1.0
    assert grades.usual_level(np.array([np.nan])) == 0.0
