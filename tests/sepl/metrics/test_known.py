"""What known values bring: against nothing known, against the values alone, against another patient's."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sepl.metrics.floor import fit_floor, fit_known_floor
from sepl.metrics.known import KnownEvaluation, KnownPredictions, evaluate_known
from sepl.tasks import BUILT_IN_TASKS, Task, TaskTable

TASKS = TaskTable.of(BUILT_IN_TASKS[name] for name in ("sex", "age", "sbp"))


def _patients(num_patients: int, seed: int = 0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    age_P = rng.uniform(20, 80, num_patients)
    return np.column_stack(
        [(rng.random(num_patients) < 0.5).astype(np.float64), age_P, 100 + age_P + rng.normal(0, 5, num_patients)]
    )


def _evaluate(known_share: float, shuffled_share: float) -> KnownEvaluation:
    """Predictions of systolic pressure that err by these shares of what they err by with nothing known."""
    labels_PT = _patients(60)
    off_PT = np.random.default_rng(1).normal(0, 12, labels_PT.shape) * [0, 1, 1]
    known_PT = labels_PT + known_share * off_PT
    predictions = KnownPredictions(
        unknown_PT=labels_PT + off_PT,
        known_PT=known_PT,
        low_PT=known_PT - 1e9,
        high_PT=known_PT + 1e9,
        shuffled_PT=labels_PT + shuffled_share * off_PT,
        floor_PT=labels_PT + 2 * off_PT,
    )
    return evaluate_known(("sex", "age"), predictions, labels_PT, [0.0, 50.0, 150.0], TASKS, num_bootstrap=50)


def test_only_what_is_not_known_is_judged() -> None:
    found = _evaluate(0.5, 1.5)

    assert [task.name for task in found.tasks] == ["sbp"]
    assert found.num_patients == 60
    assert found.mean_skill == found["sbp"].skill


def test_a_known_value_that_helps_is_above_nothing_known_its_own_floor_and_another_patients() -> None:
    skill = _evaluate(0.5, 1.5)["sbp"].skill

    values = [skill.known.value, skill.unknown.value, skill.shuffled.value, skill.floor.value]
    assert all(value is not None for value in values)
    assert values == sorted(values, key=lambda value: value or 0.0, reverse=True)
    assert skill.known_over_floor.low is not None
    assert skill.known_over_floor.low > 0
    assert skill.known_over_unknown.value == pytest.approx((values[0] or 0) - (values[1] or 0))


def test_coverage_is_that_of_the_intervals_given_what_is_known() -> None:
    coverage = _evaluate(1.0, 1.0)["sbp"].interval_coverage

    assert coverage is not None
    assert coverage.value == 1.0


def test_what_was_written_is_read_again() -> None:
    found = _evaluate(0.5, 1.5)

    assert KnownEvaluation.parse_json(found.model_dump_json(), "known") == found


def test_the_floor_of_known_values_is_linear_where_that_is_better_and_trees_where_they_are() -> None:
    train_PT, validation_PT, test_PT = _patients(400), _patients(60, 1), _patients(60, 2)
    linear_PT = fit_floor(train_PT, test_PT, TASKS, ("age",))
    for labels_PT in (bent := [labels_PT.copy() for labels_PT in (train_PT, validation_PT, test_PT)]):
        labels_PT[:, 2] = np.where(np.abs(labels_PT[:, 1] - 50) < 15, 180.0, 110.0)

    straight_PT = fit_known_floor(train_PT, validation_PT, test_PT, TASKS, ("age",))
    bent_PT = fit_known_floor(bent[0], bent[1], bent[2], TASKS, ("age",))

    np.testing.assert_array_equal(straight_PT[:, 2], linear_PT[:, 2])
    assert np.abs(bent_PT[:, 2] - bent[2][:, 2]).mean() < 10 < np.abs(linear_PT[:, 2] - bent[2][:, 2]).mean()


def test_few_patients_have_a_linear_floor() -> None:
    train_PT, validation_PT, test_PT = _patients(50), _patients(60, 1), _patients(10, 2)

    found_PT = fit_known_floor(train_PT, validation_PT, test_PT, TASKS, ("age", "sex"))

    np.testing.assert_array_equal(found_PT, fit_floor(train_PT, test_PT, TASKS))


def test_grades_among_the_tasks_are_judged_by_their_own_skill() -> None:
    stage = Task(name="stage", kind="ordinal", unit="level", label="Stage", levels=("none", "some", "much"))
    labels_PT = np.column_stack([_patients(60)[:, 1:], np.arange(60.0) % 3])
    tasks = TaskTable.of([BUILT_IN_TASKS["age"], BUILT_IN_TASKS["sbp"], stage])
    wrong_PT = np.column_stack([labels_PT[:, :2] + 1, np.zeros(60)])
    absent_PT = np.full_like(labels_PT, np.nan)
    predictions = KnownPredictions(wrong_PT, labels_PT, absent_PT, absent_PT, wrong_PT, wrong_PT)

    found = evaluate_known(("age",), predictions, labels_PT, [50.0, 150.0, 0.0], tasks, num_bootstrap=50)

    assert (found["stage"].skill.unknown.value, found["stage"].skill.known.value) == (0.0, 1.0)
    assert found["stage"].interval_coverage is None
