import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit

from sepl.data.dataset.scaling import LabelScaler
from sepl.data.patients.index import mean_per_patient
from sepl.levels import (
    expected_level,
    level_probabilities,
    output_values,
    predicted_level,
    single_outputs,
    worst_outputs,
)
from sepl.tasks import BUILT_IN_TASKS, Task, TaskTable

GRADES = Task(name="dr", kind="ordinal", unit="", label="Retinopathy", levels=("none", "mild", "moderate", "severe"))
WORST = GRADES.model_copy(update={"name": "worst_dr", "patient": "worst"})
CAMERA = Task(name="camera", kind="categorical", unit="", label="Camera", levels=("a", "b", "c"))
MIXED = TaskTable.of([BUILT_IN_TASKS["age"], GRADES, BUILT_IN_TASKS["sex"], CAMERA])
SCALER = LabelScaler(medians=(50.0, 0.0, 0.0, 0.0), iqrs=(10.0, 1.0, 1.0, 1.0))

three_outputs = arrays(np.float64, st.tuples(st.integers(1, 6), st.just(3)), elements=st.floats(-30, 30))
temperatures = st.floats(0.1, 10)


@pytest.mark.parametrize("task", [GRADES, CAMERA])
@given(outputs_NK=three_outputs, temperature=temperatures)
def test_probabilities_of_levels_are_none_below_zero_and_sum_to_one(task, outputs_NK, temperature):
    probabilities_NL = level_probabilities(outputs_NK, task, temperature)

    assert probabilities_NL.shape == (len(outputs_NK), len(task.levels))
    assert (probabilities_NL >= 0).all()
    np.testing.assert_allclose(probabilities_NL.sum(axis=1), 1.0, atol=1e-12)


@pytest.mark.parametrize("task", [GRADES, CAMERA])
@pytest.mark.parametrize("size", [1e4, 1e300])
def test_huge_outputs_of_a_network_give_probabilities_too(task, size):
    for sign in (-1, 1):
        probabilities_NL = level_probabilities(np.full((1, 3), sign * size), task, 3.0)

        assert np.isfinite(probabilities_NL).all()
        assert probabilities_NL.sum() == pytest.approx(1)


@given(three_outputs)
def test_a_grade_is_passed_with_the_product_of_the_steps_probabilities(outputs_NK):
    probabilities_NL = level_probabilities(outputs_NK, GRADES)

    for step in range(3):
        above_N = expit(outputs_NK[:, : step + 1]).prod(axis=1)
        np.testing.assert_allclose(probabilities_NL[:, step + 1 :].sum(axis=1), above_N, atol=1e-12)


@given(three_outputs, temperatures)
def test_a_temperature_changes_neither_a_median_grade_nor_the_order_of_rows(outputs_NK, temperature):
    outputs_NK = outputs_NK.round(3)
    as_is_NL, warm_NL = (level_probabilities(outputs_NK, GRADES, value) for value in (1.0, temperature))

    np.testing.assert_array_equal(predicted_level(as_is_NL, GRADES), predicted_level(warm_NL, GRADES))
    for step in range(3):
        order_N = np.argsort(as_is_NL[:, step + 1 :].sum(axis=1), kind="stable")
        assert (np.diff(warm_NL[order_N, step + 1 :].sum(axis=1)) >= -1e-9).all()


@given(three_outputs, temperatures)
def test_a_temperature_changes_no_order_of_classes(outputs_NK, temperature):
    as_is_NL, warm_NL = (level_probabilities(outputs_NK, CAMERA, value) for value in (1.0, temperature))

    order_NL = np.argsort(as_is_NL, axis=1, kind="stable")
    assert (np.diff(np.take_along_axis(warm_NL, order_NL, axis=1), axis=1) >= -1e-12).all()


def test_the_predicted_grade_is_the_median_and_the_class_the_likeliest():
    probabilities_NL = np.array([[0.4, 0.3, 0.3, 0.0], [0.1, 0.1, 0.2, 0.6], [0.5, 0.2, 0.2, 0.1]])

    assert predicted_level(probabilities_NL, GRADES).tolist() == [1, 3, 0]
    assert predicted_level(probabilities_NL, CAMERA).tolist() == [0, 3, 0]
    np.testing.assert_allclose(expected_level(probabilities_NL), [0.9, 2.3, 0.9])


@given(arrays(np.float32, st.tuples(st.integers(1, 5), st.just(8)), elements=st.floats(-5, 5, width=32)))
def test_values_beside_graded_tasks_are_those_without_them(outputs_NO):
    values_NT = output_values(outputs_NO, MIXED, SCALER, {"sex": 2.0})

    alone = TaskTable.of([BUILT_IN_TASKS["age"], BUILT_IN_TASKS["sex"]])
    scaler = LabelScaler(medians=(50.0, 0.0), iqrs=(10.0, 1.0))
    alone_NT = output_values(outputs_NO[:, [0, 4]], alone, scaler, {"sex": 2.0})
    np.testing.assert_array_equal(values_NT[:, [0, 2]], alone_NT)
    np.testing.assert_array_equal(single_outputs(outputs_NO, MIXED)[:, [0, 2]], outputs_NO[:, [0, 4]])
    grades_NL = level_probabilities(outputs_NO[:, 1:4], GRADES)
    np.testing.assert_array_equal(values_NT[:, 1], predicted_level(grades_NL, GRADES))
    classes_NL = level_probabilities(outputs_NO[:, 5:], CAMERA)
    np.testing.assert_array_equal(values_NT[:, 3], predicted_level(classes_NL, CAMERA))


@given(st.data())
def test_a_patients_worst_grade_is_of_one_photograph_and_all_else_their_mean(data):
    tasks = TaskTable.of([BUILT_IN_TASKS["age"], WORST, GRADES])
    patient_N = np.array(data.draw(st.permutations([0, 0, 0, 1, 2, 2])))
    outputs_NO = data.draw(arrays(np.float64, (6, 7), elements=st.floats(-5, 5)))
    means_PO = mean_per_patient(outputs_NO, patient_N)

    found_PO = worst_outputs(means_PO, outputs_NO, patient_N, tasks)

    np.testing.assert_array_equal(np.delete(found_PO, [1, 2, 3], axis=1), np.delete(means_PO, [1, 2, 3], axis=1))
    for patient in range(3):
        own_NK = outputs_NO[patient_N == patient, 1:4]
        grades_N = expected_level(level_probabilities(own_NK, WORST))
        np.testing.assert_array_equal(found_PO[patient, 1:4], own_NK[grades_N.argmax()])


def test_without_a_task_of_worst_grades_the_means_are_handed_back():
    means_PO = np.zeros((1, 8))

    assert worst_outputs(means_PO, np.ones((1, 8)), np.zeros(1, np.int64), MIXED) is means_PO
