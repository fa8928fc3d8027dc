import numpy as np
import pytest

from sepl.metrics.floor import fit_floor
from sepl.tasks import BUILT_IN_TASKS, TaskTable

TASKS = TaskTable.of(BUILT_IN_TASKS[name] for name in ("sex", "age", "height"))


def labels(num_patients: int, seed: int = 0) -> np.ndarray:
    """Height is 160 and 12 more for men, less 0.1 a year, exactly."""
    rng = np.random.default_rng(seed)
    sex, age = rng.integers(0, 2, num_patients).astype(float), rng.uniform(30, 80, num_patients)
    return np.column_stack([sex, age, 160 + 12 * sex - 0.1 * age])


def test_what_age_and_sex_decide_is_told_nearly_exactly() -> None:
    others = labels(50, seed=1)

    floor = fit_floor(labels(400), others, TASKS)

    assert floor[:, 2] == pytest.approx(others[:, 2], abs=0.1)


def test_nothing_but_age_and_sex_of_the_patients_is_read() -> None:
    others = labels(50, seed=1)
    hidden = others.copy()
    hidden[:, 2] = np.nan

    assert np.array_equal(fit_floor(labels(400), hidden, TASKS), fit_floor(labels(400), others, TASKS))


def test_an_absent_age_is_the_median_of_training() -> None:
    train, others = labels(400), labels(1, seed=1)
    at_median = others.copy()
    others[0, 1], at_median[0, 1] = np.nan, np.median(train[:, 1])

    assert fit_floor(train, others, TASKS)[0, 2] == fit_floor(train, at_median, TASKS)[0, 2]


@pytest.mark.parametrize("column", [[5.0, 5.0, 5.0], [np.nan, np.nan, 5.0], [np.nan] * 3])
def test_a_task_that_allows_no_fit_has_no_floor(column: list[float]) -> None:
    train = labels(3)
    train[:, 2] = column

    assert np.isnan(fit_floor(train, labels(4), TASKS)[:, 2]).all()


def test_without_age_and_sex_there_is_no_floor() -> None:
    tasks = TaskTable.of([BUILT_IN_TASKS["height"]])

    assert np.isnan(fit_floor(labels(40)[:, 2:], labels(4)[:, 2:], tasks)).all()
