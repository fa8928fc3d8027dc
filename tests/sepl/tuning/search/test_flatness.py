"""A search that still gains is never called flat, one that does not is, and noise is that of its patients."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from sepl.tasks import Task, TaskTable
from sepl.tuning.search.flatness import PatientCounts, expected_gain, judge, noise_of

NOISE = 0.01
NUM_TOTAL = 100
NUM_NEXT = 10
SKILLS = st.lists(st.floats(-1.0, 1.0), min_size=4, max_size=6)


@given(
    num_done=st.integers(20, 90),
    steps=st.floats(1.05, 4.0),
    worse=st.lists(st.floats(0.0, 1.0), min_size=90, max_size=90),
    every=st.integers(1, 3),
)
def test_steady_improvement_above_the_noise_is_never_flat(
    num_done: int, steps: float, worse: list[float], every: int
) -> None:
    """Each tenth of the budget gains more than the noise, in steps of one trial to three, between worse ones."""
    climb = [steps * NOISE * (place // every * every) / NUM_NEXT for place in range(num_done)]
    skills = [skill if place % every == 0 else skill - worse[place] for place, skill in enumerate(climb)]
    assume(steps * (NUM_NEXT // every * every) > NUM_NEXT)  # what any ten in a row gain

    flatness = judge(skills, NUM_TOTAL, NOISE)

    assert flatness is not None
    assert not flatness.is_flat


@given(best=st.floats(-0.5, 0.9), num_done=st.integers(30, 90), seed=st.integers(0, 99))
def test_a_history_without_gain_is_flat(best: float, num_done: int, seed: int) -> None:
    below = np.random.default_rng(seed).uniform(0.0, NOISE / 2, num_done)
    skills = [best, *(best - below)]

    flatness = judge(skills, NUM_TOTAL, NOISE)

    assert flatness is not None
    assert flatness.is_flat


def test_without_noise_nothing_is_flat() -> None:
    flatness = judge([0.5] * 50, NUM_TOTAL, 0.0)

    assert flatness is not None
    assert not flatness.is_flat


@pytest.mark.parametrize(("num_done", "num_total"), [(11, 20), (19, 100)])
def test_too_few_trials_say_nothing(num_done: int, num_total: int) -> None:
    assert judge([0.5] * num_done, num_total, NOISE) is None


@given(skills=SKILLS, num_next=st.integers(1, 3))
def test_gain_in_random_order_is_that_of_all_orders(skills: list[float], num_next: int) -> None:
    from sepl.tuning.search.flatness import _gain_in_random_order

    num_drawn = len(skills) - num_next
    drawn = [max(chosen) for chosen in itertools.combinations(skills, num_drawn)]

    assert _gain_in_random_order(skills, num_next) == pytest.approx(max(skills) - float(np.mean(drawn)), abs=1e-9)


@given(skills=st.lists(st.floats(-1.0, 1.0), min_size=12, max_size=30), shift=st.floats(-5.0, 5.0))
def test_the_gain_is_never_below_zero_and_knows_no_origin(skills: list[float], shift: float) -> None:
    gain = expected_gain(skills, 3)

    assert gain >= 0.0
    assert expected_gain([skill + shift for skill in skills], 3) == pytest.approx(gain, abs=1e-9)


def test_noise_is_near_the_patient_bootstrap_for_a_regression_task() -> None:
    draw = np.random.default_rng(0)
    labels = draw.normal(size=400)
    errors = np.abs(draw.normal(scale=0.7, size=400))
    usual = np.abs(labels - np.median(labels)).mean()
    resampled = [1 - draw.choice(errors, 400).mean() / usual for _ in range(500)]
    patients = PatientCounts({"age": "regression"}, {"age": (400, 0)})

    noise = noise_of({"age": 1 - errors.mean() / usual}, patients)

    assert noise == pytest.approx(float(np.std(resampled)), rel=0.15)


def test_noise_is_near_the_patient_bootstrap_for_a_binary_task() -> None:
    draw = np.random.default_rng(0)
    labels = np.repeat([0, 1], [300, 100])
    scores = labels + draw.normal(scale=1.2, size=400)
    chosen = [draw.integers(0, 400, 400) for _ in range(300)]
    resampled = [2 * roc_auc_score(labels[rows], scores[rows]) - 1 for rows in chosen]
    patients = PatientCounts({"sex": "binary"}, {"sex": (400, 100)})

    noise = noise_of({"sex": 2 * roc_auc_score(labels, scores) - 1}, patients)

    assert noise == pytest.approx(float(np.std(resampled)), rel=0.3)


@given(num_patients=st.integers(10, 1000), kind=st.sampled_from(["regression", "binary", "graded"]))
def test_noise_falls_with_the_number_of_patients(num_patients: int, kind: str) -> None:
    few, many = (
        noise_of({"a": 0.3}, PatientCounts({"a": kind}, {"a": (times * num_patients, times * (num_patients // 2))}))
        for times in (1, 4)
    )

    assert many < few
    assert many == pytest.approx(few / 2, rel=0.1)


def test_a_task_without_patients_says_nothing() -> None:
    patients = PatientCounts({"a": "binary", "b": "regression"}, {"a": (0, 0), "b": (100, 0)})

    assert noise_of({"a": 0.5, "b": 0.5, "c": 0.5}, patients) == noise_of({"b": 0.5}, patients) > 0
    assert noise_of({}, patients) == 0.0


def test_patients_are_counted_where_they_have_a_label() -> None:
    tasks = TaskTable(
        root=(
            Task(name="age", kind="regression", unit="years", label="Age", low=0.0, high=120.0),
            Task(name="sex", kind="binary", unit="probability", label="Sex", low=0.0, high=1.0),
        )
    )
    labels_PT = np.array([[50.0, 1.0], [math.nan, 0.0], [60.0, math.nan]])

    patients = PatientCounts.of(labels_PT, tasks)

    assert patients.counts == {"age": (2, 0), "sex": (2, 1)}
    assert patients.kinds == {"age": "regression", "sex": "binary"}
