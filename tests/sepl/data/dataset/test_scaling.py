import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sepl.data.dataset.scaling import LabelScaler
from sepl.errors import DatasetError
from sepl.tasks import BUILT_IN_TASKS, Task, TaskTable

TASKS = TaskTable.of(BUILT_IN_TASKS[name] for name in ("sex", "age", "sbp"))
values = st.one_of(st.floats(-1e6, 1e6), st.just(np.nan))
labels = arrays(np.float64, st.tuples(st.integers(1, 30), st.just(3)), elements=values)


@given(labels, labels)
def test_unscaling_undoes_scaling(labels_NT, train_NT):
    train_NT[0] = 0.0  # every task has a label
    scaler = LabelScaler.fit(train_NT, TASKS)

    back_NT = scaler.unscale(scaler.scale(labels_NT))

    np.testing.assert_allclose(back_NT, labels_NT, rtol=1e-9, atol=1e-6)


@given(labels)
def test_what_is_absent_stays_absent_and_nothing_else(labels_NT):
    scaler = LabelScaler(medians=(0.0, 50.0, 120.0), iqrs=(1.0, 20.0, 25.0))

    assert np.array_equal(np.isnan(scaler.scale(labels_NT)), np.isnan(labels_NT))


def test_median_and_quartiles_become_zero_and_a_span_of_one():
    ages = np.array([10.0, 20, 30, 40, 50, np.nan])
    train_NT = np.stack([np.arange(6.0) % 2, ages, ages * 3], axis=1)

    scaler = LabelScaler.fit(train_NT, TASKS)

    assert scaler.medians == (0.0, 30.0, 90.0)
    assert scaler.iqrs == (1.0, 20.0, 60.0)


def test_a_binary_task_passes_as_it_is():
    train_NT = np.tile([1.0, 50.0, 120.0], (9, 1))

    assert LabelScaler.fit(train_NT, TASKS).scale(train_NT)[:, 0].tolist() == [1.0] * 9


def test_where_half_share_a_value_the_deviation_stands_in():
    values_N = np.array([5.0] * 9 + [15.0])

    scaler = LabelScaler.fit(np.stack([values_N, values_N, values_N], axis=1), TASKS)

    assert scaler.iqrs[1] == pytest.approx(1.349 * values_N.std())


def test_where_all_share_a_value_the_scale_is_one():
    assert LabelScaler.fit(np.full((4, 3), 7.0), TASKS).iqrs == (1.0, 1.0, 1.0)


def test_single_precision_stays_single_precision():
    scaler = LabelScaler(medians=(0.0, 50.0, 120.0), iqrs=(1.0, 20.0, 25.0))

    assert scaler.unscale(np.zeros((2, 3), np.float32)).dtype == np.float32


def test_a_task_without_a_label_is_named():
    with pytest.raises(DatasetError, match="task age should have a label"):
        LabelScaler.fit(np.array([[1.0, np.nan, 120.0]]), TASKS)


def test_a_scaler_survives_json():
    scaler = LabelScaler(medians=(0.0, 50.1, 1 / 3), iqrs=(1.0, 20.0, 25.0))

    assert LabelScaler.model_validate_json(scaler.model_dump_json()) == scaler


@pytest.mark.parametrize("kind", ["ordinal", "categorical"])
def test_a_level_passes_as_it_is(kind):
    task = Task(name="grade", kind=kind, unit="level", label="Grade", levels=("a", "b", "c"))

    scaler = LabelScaler.fit(np.array([[2.0], [1.0], [np.nan]]), TaskTable.of([task]))

    assert (scaler.medians, scaler.iqrs) == ((0.0,), (1.0,))
