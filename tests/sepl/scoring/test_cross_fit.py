"""Known values on the patients who teach how errors go together: nobody mends himself, and what helps is seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sepl.bundle.conditioning import LEAST_JUDGED
from sepl.data.dataset.scaling import LabelScaler
from sepl.scoring.conditioning import MIN_PATIENTS
from sepl.scoring.cross_fit import NUM_PARTS, cross_condition
from sepl.tasks import BUILT_IN_TASKS, TaskTable

Floats = NDArray[np.float64]

NAMES = ("age", "sbp", "sex")
TASKS = TaskTable.of(BUILT_IN_TASKS[name] for name in NAMES)
SCALER = LabelScaler(medians=(50.0, 120.0, 0.0), iqrs=(10.0, 20.0, 1.0))


def _patients(num_patients: int, seed: int) -> tuple[Floats, Floats]:
    """Outputs and labels in units; errors of age and pressure go together."""
    rng = np.random.default_rng(seed)
    truth_PT = rng.normal(size=(num_patients, 3))
    truth_PT[:, 2] = truth_PT[:, 2] > 0
    common_P = rng.normal(size=num_patients)
    errors_PT = np.column_stack([common_P, common_P, np.zeros(num_patients)]) + 0.3 * rng.normal(size=(num_patients, 3))
    outputs_PT = truth_PT - errors_PT
    return outputs_PT, np.asarray(SCALER.unscale(truth_PT), np.float64)


def test_what_goes_together_helps_and_the_known_stands() -> None:
    outputs_PT, labels_PT = _patients(200, 0)

    values_PT = cross_condition(outputs_PT, labels_PT, ("age",), TASKS, SCALER)

    before = np.abs(SCALER.unscale(outputs_PT) - labels_PT)[:, 1].mean()
    assert np.abs(values_PT - labels_PT)[:, 1].mean() < 0.6 * before
    np.testing.assert_allclose(values_PT[:, 0], labels_PT[:, 0])
    assert ((values_PT[:, 2] >= 0) & (values_PT[:, 2] <= 1)).all()


@settings(max_examples=10)
@given(patient=st.integers(0, 59), change=st.floats(-1000, 1000))
def test_a_patients_label_does_not_change_what_is_said_of_that_patient(patient: int, change: float) -> None:
    outputs_PT, labels_PT = _patients(60, 1)
    changed_PT = labels_PT.copy()
    changed_PT[patient, 1] += change

    before_PT, after_PT = (
        cross_condition(outputs_PT, rows, ("age",), TASKS, SCALER) for rows in (labels_PT, changed_PT)
    )

    np.testing.assert_array_equal(before_PT[patient], after_PT[patient])


def test_of_patients_of_whom_it_is_not_known_nothing_is_said() -> None:
    outputs_PT, labels_PT = _patients(100, 2)
    labels_PT[::4, 0] = np.nan

    values_PT = cross_condition(outputs_PT, labels_PT, ("age",), TASKS, SCALER)

    assert np.array_equal(np.isnan(values_PT).all(axis=1), np.isnan(labels_PT[:, 0]))


def test_a_network_that_was_told_is_judged_by_what_it_says_then() -> None:
    """Told the age, it leaves nothing of the common error."""
    outputs_PT, labels_PT = _patients(200, 3)
    told_PT = outputs_PT.copy()
    told_PT[:, 1] += np.asarray(SCALER.scale(labels_PT))[:, 0] - outputs_PT[:, 0]

    plain_PT = cross_condition(outputs_PT, labels_PT, ("age",), TASKS, SCALER)
    values_PT = cross_condition(outputs_PT, labels_PT, ("age",), TASKS, SCALER, told_PT)

    unmended = np.abs(SCALER.unscale(told_PT) - labels_PT)[:, 1].mean()
    assert np.abs(values_PT - labels_PT)[:, 1].mean() == pytest.approx(unmended, rel=0.15)
    assert not np.allclose(values_PT[:, 1], plain_PT[:, 1])


def test_a_study_is_judged_by_as_many_as_teach_something() -> None:
    assert LEAST_JUDGED * (NUM_PARTS - 1) // NUM_PARTS >= MIN_PATIENTS
