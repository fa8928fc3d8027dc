"""The error of a mean skill is that of patients, and knows that tasks share them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.metrics.measures import skill_per_task
from sepl.metrics.skill_error import mean_skill_error
from sepl.tasks import Task, TaskTable


def tasks(*names: str) -> TaskTable:
    return TaskTable.of(
        Task(name=name, kind="regression", unit="years", label=name, low=0.0, high=120.0) for name in names
    )


def planted(num_patients: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    labels_P = draw.normal(50.0, 10.0, num_patients)
    return labels_P + draw.normal(0.0, 6.0, num_patients), labels_P


def test_it_is_the_spread_of_the_skill_over_cohorts() -> None:
    cohorts = [planted(300, seed) for seed in range(200)]
    skills = [
        float(skill_per_task(values[:, None], labels[:, None], [50.0], tasks("age"))[0]) for values, labels in cohorts
    ]

    values, labels = cohorts[0]
    error = mean_skill_error(values[:, None], labels[:, None], [50.0], tasks("age"))

    assert error == pytest.approx(np.std(skills), rel=0.3)


@given(num_copies=st.integers(2, 4))
def test_a_task_told_twice_is_no_second_opinion(num_copies: int) -> None:
    values, labels = planted(100)
    names = [f"t{place}" for place in range(num_copies)]
    of_one = mean_skill_error(values[:, None], labels[:, None], [50.0], tasks("t0"))
    of_all = mean_skill_error(
        np.tile(values[:, None], num_copies), np.tile(labels[:, None], num_copies), [50.0] * num_copies, tasks(*names)
    )

    assert of_all == pytest.approx(of_one)


def test_a_task_without_labels_says_nothing() -> None:
    values, labels = planted(100)
    both = np.column_stack([labels, np.full(100, np.nan)])
    expected = mean_skill_error(values[:, None], labels[:, None], [50.0], tasks("a"))

    assert mean_skill_error(np.column_stack([values, values]), both, [50.0, 50.0], tasks("a", "b")) == expected
    assert mean_skill_error(values[:, None], both[:, 1:], [50.0], tasks("b")) is None
