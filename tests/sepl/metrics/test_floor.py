import numpy as np
import pytest

from sepl.metrics.floor import fit_floor, fit_known_floor
from sepl.metrics.measures import skill_per_task
from sepl.tasks import BUILT_IN_TASKS, Task, TaskTable

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


GRADED = TaskTable.of(
    [
        BUILT_IN_TASKS["age"],
        Task(name="stage", kind="ordinal", unit="level", label="Stage", levels=("none", "mild", "severe", "never")),
        Task(name="kind", kind="categorical", unit="level", label="Kind", levels=("a", "b", "c")),
    ]
)


def graded(num_patients: int, seed: int = 0) -> np.ndarray:
    """The stage rises with age by thirds of it, nobody has the last; of kinds the middle ages have the first."""
    age = np.random.default_rng(seed).uniform(20, 80, num_patients)
    third = (age - 20) // 20
    return np.column_stack([age, third, np.array([1.0, 0.0, 2.0])[third.astype(int)]])


def test_what_age_tells_of_grades_and_classes_is_told_as_their_levels() -> None:
    train_PT, labels_PT = graded(400), graded(200, seed=1)

    floor_PT = fit_floor(train_PT, labels_PT, GRADED)

    assert {*floor_PT[:, 1], *floor_PT[:, 2]} <= {0.0, 1.0, 2.0}
    skills_T = skill_per_task(floor_PT, labels_PT, [0.0] * 3, GRADED)
    assert skills_T[1] > 0.9
    assert skills_T[2] > 0.8


def test_trees_stand_in_where_they_mistake_fewer_classes() -> None:
    train_PT, validation_PT, labels_PT = graded(400), graded(60, seed=1), graded(200, seed=2)
    for bent_PT in (train_PT, validation_PT, labels_PT):
        bent_PT[:, 1] = (bent_PT[:, 0] // 10) % 2
        bent_PT[:, 2] = (bent_PT[:, 0] // 10) % 2

    linear_PT = fit_floor(train_PT, labels_PT, GRADED, ("age",))
    floor_PT = fit_known_floor(train_PT, validation_PT, labels_PT, GRADED, ("age",))

    for index in (1, 2):
        assert (floor_PT[:, index] == labels_PT[:, index]).mean() > 0.9
        assert (linear_PT[:, index] == labels_PT[:, index]).mean() < 0.7


def test_a_patient_whose_eyes_differ_in_a_binary_label_does_not_stop_the_floor() -> None:
    ill = Task(name="ill", kind="binary", unit="probability", label="Ill", low=0, high=1)
    train_PT = graded(90)[:, :2]
    train_PT[:, 1] /= 2

    floor_PT = fit_floor(train_PT, train_PT, TaskTable.of([BUILT_IN_TASKS["age"], ill]))

    assert np.corrcoef(floor_PT[:, 1], train_PT[:, 0])[0, 1] > 0.8
