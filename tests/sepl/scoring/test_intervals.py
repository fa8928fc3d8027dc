"""Laws of calibration: coverage, monotony, and rankings that stay."""

import math

import numpy as np
import pytest
from graded import CAMERA, GRADES, MIXED, MIXED_SCALER, draw_levels
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import binom

from sepl.bundle.format import Intervals
from sepl.data.dataset.scaling import LabelScaler
from sepl.scoring.intervals import (
    MIN_PATIENTS_PER_CLASS,
    calibrate,
    calibrated_values,
    conformal_quantile,
    fit_temperature,
)
from sepl.scoring.level_sets import TEMPERATURE_RANGE, fit_level_temperature
from sepl.tasks import BUILT_IN_TASKS, TaskTable

TASKS = TaskTable.of(BUILT_IN_TASKS[name] for name in ("sex", "age", "sbp"))
SCALER = LabelScaler(medians=(0.0, 50.0, 120.0), iqrs=(1.0, 10.0, 20.0))

residuals = st.lists(st.floats(0, 1e6), min_size=1, max_size=200).map(np.array)
confidences = st.floats(0.05, 0.99)


@pytest.mark.parametrize("num_patients", [9, 20, 57])
@pytest.mark.parametrize("confidence", [0.6, 0.9])
def test_a_further_exchangeable_patient_is_covered_as_promised(num_patients: int, confidence: float) -> None:
    """Heavy tails and ties included; over 4,000 cohorts the count below the promise has probability under 1e-6."""
    rng = np.random.default_rng(7)
    draws = np.round(np.abs(rng.standard_t(2, (4000, num_patients + 1))), 1)

    half_widths = [conformal_quantile(draw[:-1], confidence) for draw in draws]

    covered = sum(draw[-1] <= half_width for draw, half_width in zip(draws, half_widths, strict=True))
    assert covered >= binom.ppf(1e-6, 4000, confidence)


def test_coverage_does_not_exceed_the_promise_by_more_than_one_patient() -> None:
    rng = np.random.default_rng(8)
    draws = np.abs(rng.normal(size=(4000, 31)))

    covered = sum(draw[-1] <= (conformal_quantile(draw[:-1], 0.8) or 0) for draw in draws)

    assert covered <= binom.ppf(1 - 1e-6, 4000, 0.8 + 1 / 31)


@given(residuals, confidences, confidences)
def test_more_confidence_never_means_a_narrower_interval(residuals_P: np.ndarray, one: float, other: float) -> None:
    low, high = sorted((one, other))

    narrow, wide = conformal_quantile(residuals_P, low), conformal_quantile(residuals_P, high)

    assert (math.inf if narrow is None else narrow) <= (math.inf if wide is None else wide)


@given(residuals, confidences)
def test_a_half_width_is_one_of_the_residuals_or_none(residuals_P: np.ndarray, confidence: float) -> None:
    half_width = conformal_quantile(residuals_P, confidence)

    assert half_width is None or half_width in residuals_P


@pytest.mark.parametrize(("num_patients", "has_interval"), [(0, False), (8, False), (9, True), (10, True)])
def test_nine_patients_are_the_fewest_for_90_per_cent(num_patients: int, has_interval: bool) -> None:
    assert (conformal_quantile(np.arange(float(num_patients)), 0.9) is not None) == has_interval


def test_the_rank_is_not_shifted_by_rounding() -> None:
    """10 · 0.7 is 7.000000000000001 in floating point, and 0.7 should still mean the seventh of nine."""
    assert conformal_quantile(np.arange(1.0, 10.0), 0.7) == 7.0


@given(st.lists(st.tuples(st.floats(-30, 30), st.booleans()), min_size=1, max_size=60))
@settings(max_examples=60)
def test_a_temperature_never_changes_a_ranking(cases: list[tuple[float, bool]]) -> None:
    logits_P = np.array([logit for logit, _ in cases])
    labels_P = np.array([float(positive) for _, positive in cases])

    temperature = fit_temperature(logits_P, labels_P)

    low, high = TEMPERATURE_RANGE
    assert low <= temperature <= high
    order = np.argsort(logits_P, kind="stable")
    assert (np.diff(expit(logits_P[order] / temperature)) >= 0).all()


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(true_temperature: float) -> None:
    rng = np.random.default_rng(3)
    logits_P = rng.normal(0, 3, 20_000)
    labels_P = (rng.random(20_000) < expit(logits_P / true_temperature)).astype(float)

    assert fit_temperature(logits_P, labels_P) == pytest.approx(true_temperature, rel=0.05)


def test_a_temperature_never_raises_the_log_loss() -> None:
    rng = np.random.default_rng(4)
    logits_P = rng.normal(0, 5, 300)
    labels_P = (rng.random(300) < 0.3).astype(float)

    temperature = fit_temperature(logits_P, labels_P)

    signed_P = np.where(labels_P > 0.5, logits_P, -logits_P)
    assert np.logaddexp(0, -signed_P / temperature).mean() <= np.logaddexp(0, -signed_P).mean()


@pytest.mark.parametrize("num_positive", [0, MIN_PATIENTS_PER_CLASS - 1])
def test_a_class_with_too_few_patients_leaves_the_temperature_at_one(num_positive: int) -> None:
    labels_P = np.zeros(50)
    labels_P[:num_positive] = 1

    assert fit_temperature(np.linspace(-3, 3, 50), labels_P) == 1.0


def test_separable_classes_do_not_drive_the_temperature_to_zero() -> None:
    labels_P = np.repeat([0.0, 1.0], 10)

    assert fit_temperature(np.where(labels_P > 0, 5.0, -5.0), labels_P) == pytest.approx(TEMPERATURE_RANGE[0], rel=0.01)


def test_patients_without_a_label_do_not_count() -> None:
    outputs_PT, labels_PT = _calibration_patients(40)
    with_absent_PT = np.concatenate([labels_PT, np.full_like(labels_PT, np.nan)])

    intervals = calibrate(np.concatenate([outputs_PT, outputs_PT + 9]), with_absent_PT, TASKS, SCALER)

    assert intervals == calibrate(outputs_PT, labels_PT, TASKS, SCALER)


def test_every_task_gets_what_its_kind_needs() -> None:
    outputs_PT, labels_PT = _calibration_patients(40)
    labels_PT[5:, 2] = np.nan

    intervals = calibrate(outputs_PT, labels_PT, TASKS, SCALER)

    assert intervals.temperatures.keys() == {"sex"}
    assert intervals.half_widths.keys() == {"age", "sbp"}
    assert intervals.half_widths["age"] is not None
    assert intervals.half_widths["sbp"] is None
    assert Intervals.model_validate_json(intervals.model_dump_json()) == intervals


def test_calibration_patients_lie_inside_their_own_intervals_as_often_as_promised() -> None:
    outputs_PT, labels_PT = _calibration_patients(200)

    found = calibrated_values(outputs_PT, TASKS, SCALER, calibrate(outputs_PT, labels_PT, TASKS, SCALER))

    inside_PT = (found.low_NT <= labels_PT) & (labels_PT <= found.high_NT)
    assert inside_PT[:, 1:].mean(axis=0) == pytest.approx([0.905, 0.905])


@given(st.floats(-50, 50), st.floats(0, 500))
def test_a_value_is_plausible_and_inside_its_interval(output: float, half_width: float) -> None:
    intervals = Intervals(half_widths={"age": half_width, "sbp": None}, temperatures={"sex": 2.0})

    found = calibrated_values(np.full((1, 3), output, np.float32), TASKS, SCALER, intervals)

    (sex, age, _), (sex_low, age_low, sbp_low) = found.values_NT[0], found.low_NT[0]
    assert 0 <= sex <= 1
    assert 0 <= age_low <= age <= found.high_NT[0, 1] <= 120
    assert np.isnan([sex_low, sbp_low]).all()


def test_graded_tasks_are_calibrated_beside_the_others_as_these_would_be_alone() -> None:
    rng = np.random.default_rng(1)
    alone_PT, labels_PT = _calibration_patients(80)
    (grades_PK, grades_P), (cameras_PK, cameras_P) = (draw_levels(task, 80, rng) for task in (GRADES, CAMERA))
    outputs_PO = np.column_stack([alone_PT[:, 0], grades_PK, alone_PT[:, 1], cameras_PK, alone_PT[:, 2]])
    mixed_PT = np.column_stack([labels_PT[:, 0], grades_P, labels_PT[:, 1], cameras_P, labels_PT[:, 2]])

    alone = calibrate(alone_PT, labels_PT, TASKS, SCALER)
    mixed = calibrate(outputs_PO, mixed_PT, MIXED, MIXED_SCALER)

    assert mixed.half_widths == alone.half_widths
    assert mixed.temperatures == {"sex": alone.temperatures["sex"]} | {
        task.name: fit_level_temperature(outputs_PK, labels_P, task)
        for task, outputs_PK, labels_P in ((GRADES, grades_PK, grades_P), (CAMERA, cameras_PK, cameras_P))
    }
    assert mixed.set_thresholds.keys() == {"retinopathy", "camera"}
    found, plain = (
        calibrated_values(outputs_PO, MIXED, MIXED_SCALER, mixed),
        calibrated_values(alone_PT, TASKS, SCALER, alone),
    )
    for ours, theirs in (
        (found.values_NT, plain.values_NT),
        (found.low_NT, plain.low_NT),
        (found.high_NT, plain.high_NT),
    ):
        np.testing.assert_array_equal(ours[:, [0, 2, 4]], theirs)
    assert [row.task.name for row in found.levels] == ["retinopathy", "camera"]
    assert np.isnan(found.low_NT[:, [1, 3]]).all()


@pytest.mark.parametrize(("num_patients", "has_sets"), [(8, False), (9, True)])
def test_nine_patients_are_the_fewest_for_sets_of_90_per_cent(num_patients: int, has_sets: bool) -> None:
    tasks = TaskTable.of([GRADES])
    outputs_PK, labels_P = draw_levels(GRADES, num_patients, np.random.default_rng(0))

    intervals = calibrate(outputs_PK, labels_P[:, None], tasks, LabelScaler(medians=(0.0,), iqrs=(1.0,)))

    assert (intervals.set_thresholds["retinopathy"] is not None) == has_sets


def _calibration_patients(num_patients: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    outputs_PT = rng.normal(0, 1, (num_patients, 3))
    labels_PT = SCALER.unscale(outputs_PT + rng.normal(0, 0.3, (num_patients, 3)))
    labels_PT[:, 0] = rng.random(num_patients) < expit(outputs_PT[:, 0])
    return outputs_PT, labels_PT
