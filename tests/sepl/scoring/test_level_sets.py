"""Laws of sets of levels: they hold the truth as often as promised, are never empty, and of grades stand together."""

import numpy as np
import pytest
from graded import CAMERA, GRADES, draw_levels
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sepl.bundle.manifest import Intervals
from sepl.levels import level_probabilities, predicted_level
from sepl.scoring.intervals import conformal_quantile
from sepl.scoring.level_sets import (
    MIN_PATIENTS_PER_LEVEL,
    TEMPERATURE_RANGE,
    calibrated_levels,
    fit_level_temperature,
    level_scores,
    true_level_scores,
)
from sepl.tasks import Task

both = pytest.mark.parametrize("task", [GRADES, CAMERA])


def _outputs(task: Task) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float64, st.tuples(st.integers(1, 5), st.just(task.num_outputs)), elements=st.floats(-9, 9))


@both
@pytest.mark.parametrize("confidence", [0.8, 0.9])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_sets_hold_the_level_of_further_patients_as_often_as_promised(
    task: Task, confidence: float, temperature: float
) -> None:
    """Also of a network that is less sure than it says: only the patients must be exchangeable."""
    rng = np.random.default_rng(5)
    outputs_PK, labels_P = draw_levels(task, 3000, rng, temperature)
    threshold = conformal_quantile(true_level_scores(outputs_PK, labels_P, task), confidence)
    further_PK, further_P = draw_levels(task, 20_000, rng, temperature)

    found = calibrated_levels(further_PK, task, Intervals(set_thresholds={task.name: threshold}))

    assert found.in_set_NL is not None
    covered = found.in_set_NL[np.arange(len(further_P)), further_P.astype(int)].mean()
    assert covered == pytest.approx(confidence, abs=0.03)


@both
@given(st.data(), st.floats(0, 1))
def test_a_set_holds_the_predicted_level_and_more_with_a_higher_threshold(
    task: Task, data: st.DataObject, threshold: float
) -> None:
    outputs_NK = data.draw(_outputs(task))
    places_N = predicted_level(level_probabilities(outputs_NK, task), task).astype(int)

    small, large = (
        calibrated_levels(outputs_NK, task, Intervals(set_thresholds={task.name: value})).in_set_NL
        for value in (threshold, min(1.0, 1.3 * threshold))
    )

    assert small is not None
    assert large is not None
    assert small[np.arange(len(small)), places_N].all()
    assert (small <= large).all()


@given(_outputs(GRADES), st.floats(0, 1))
def test_the_grades_of_a_set_stand_together(outputs_NK: np.ndarray, threshold: float) -> None:
    in_set_NL = level_scores(outputs_NK, GRADES) <= threshold

    for in_set_L in in_set_NL:
        places = np.flatnonzero(in_set_L)
        assert len(places) == places[-1] - places[0] + 1


def test_grades_join_a_set_from_the_predicted_one_by_the_likelier_neighbour() -> None:
    """Median mild; then none (.3), moderate (.2) and what lies behind it."""
    probabilities_L = np.array([0.3, 0.35, 0.2, 0.1, 0.05])
    above_K = 1 - np.cumsum(probabilities_L)[:-1]
    steps_K = above_K / np.r_[1.0, above_K[:-1]]
    outputs_1K = np.log(steps_K / (1 - steps_K))[None]

    np.testing.assert_allclose(level_scores(outputs_1K, GRADES)[0], [0.35, 0.0, 0.65, 0.85, 0.95])


def test_classes_join_a_set_by_their_probability() -> None:
    scores_L = level_scores(np.log([[0.2, 0.7, 0.1]]), CAMERA)[0]

    np.testing.assert_allclose(scores_L, [0.8, 0.0, 0.9])


@both
def test_without_a_threshold_there_are_probabilities_and_no_set(task: Task) -> None:
    outputs_NK = np.zeros((2, task.num_outputs))

    for intervals in (Intervals(), Intervals(set_thresholds={task.name: None})):
        found = calibrated_levels(outputs_NK, task, intervals)

        assert found.in_set_NL is None
        np.testing.assert_array_equal(found.probabilities_NL, level_probabilities(outputs_NK, task))


@both
@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 2.0])
def test_the_temperature_that_made_the_levels_is_found(task: Task, true_temperature: float) -> None:
    outputs_PK, labels_P = draw_levels(task, 20_000, np.random.default_rng(3), true_temperature)

    assert fit_level_temperature(outputs_PK, labels_P, task) == pytest.approx(true_temperature, rel=0.05)


@both
@given(data=st.data())
def test_a_temperature_is_in_range_and_raises_no_log_loss(task: Task, data: st.DataObject) -> None:
    labels_P = np.array(data.draw(st.lists(st.integers(0, len(task.levels) - 1), min_size=1, max_size=30)), float)
    seed = data.draw(st.integers(0, 99))
    outputs_PK = np.random.default_rng(seed).normal(0, 3, (len(labels_P), task.num_outputs))

    temperature = fit_level_temperature(outputs_PK, labels_P, task)

    low, high = TEMPERATURE_RANGE
    assert low <= temperature <= high
    before, after = (_log_loss(outputs_PK, labels_P, task, value) for value in (1.0, temperature))
    assert after <= before


@both
def test_few_patients_of_all_levels_but_one_leave_the_temperature_at_one(task: Task) -> None:
    labels_P = np.zeros(50)
    labels_P[: MIN_PATIENTS_PER_LEVEL - 1] = 1
    outputs_PK = np.random.default_rng(0).normal(0, 3, (50, task.num_outputs))

    assert fit_level_temperature(outputs_PK, labels_P, task) == 1.0


def _log_loss(outputs_PK: np.ndarray, labels_P: np.ndarray, task: Task, temperature: float) -> float:
    probabilities_PL = level_probabilities(outputs_PK, task, temperature)
    own_P = probabilities_PL[np.arange(len(labels_P)), labels_P.astype(int)]
    return float(-np.log(np.maximum(own_P, 1e-12)).mean())
