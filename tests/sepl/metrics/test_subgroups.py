"""Skill of some of the patients is that of an evaluation of these alone; of few it is not told."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sepl.metrics import evaluate
from sepl.metrics.subgroups import LEAST, evaluate_subgroups, patient_groups
from sepl.tasks import BUILT_IN_TASKS, TaskSplit, TaskTable

TASKS = TaskTable.of(BUILT_IN_TASKS[name] for name in ("sex", "age", "sbp"))


def drawn(num_patients: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and labels of patients."""
    rng = np.random.default_rng(seed)
    labels_PT = np.column_stack(
        [rng.random(num_patients) < 0.5, rng.uniform(20, 90, num_patients), rng.normal(120, 20, num_patients)]
    ).astype(float)
    noise_PT = rng.normal(0, 1, (num_patients, 3)) * [0.3, 5, 10]
    return labels_PT + noise_PT, labels_PT


@given(seed=st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_a_groups_skill_is_that_of_an_evaluation_of_its_patients(seed: int) -> None:
    values_PT, labels_PT = drawn(90, seed)
    group_P = np.where(np.arange(90) % 3 == 0, "one", "two")

    whole = evaluate(
        values_PT,
        labels_PT,
        labels_PT,
        TASKS,
        cohort_split="test",
        task_split=TaskSplit.parse("demographic", TASKS),
        groups={"site": group_P},
        num_bootstrap=50,
    )

    assert [(row.by, row.group, row.num_patients) for row in whole.subgroups] == [
        ("site", "one", 30),
        ("site", "two", 60),
    ]
    for row in whole.subgroups:
        rows = group_P == row.group
        own = evaluate(
            values_PT[rows],
            labels_PT[rows],
            labels_PT,
            TASKS,
            cohort_split="test",
            task_split=TaskSplit.parse("demographic", TASKS),
            num_bootstrap=50,
        )
        assert row.mean_skill == own.mean_skill
        assert row.tasks == {task.name: task.skill for task in own.tasks}


@given(num_few=st.integers(1, LEAST - 1))
@settings(max_examples=5, deadline=None)
def test_of_few_patients_nothing_is_said_but_how_many_they_are(num_few: int) -> None:
    values_PT, labels_PT = drawn(60)
    group_P = np.where(np.arange(60) < num_few, "few", "many")

    few, many = evaluate_subgroups(
        values_PT, labels_PT, [0.5, 50, 120], TASKS, {"camera": group_P}, num_bootstrap=20, seed=0
    )

    assert (few.num_patients, few.mean_skill, few.tasks) == (num_few, None, {})
    assert many.mean_skill is not None


def test_one_group_or_nobody_who_tells_is_no_subgroup() -> None:
    values_PT, labels_PT = drawn(60)
    groups = {"site": np.full(60, "here"), "camera": np.full(60, "")}

    assert evaluate_subgroups(values_PT, labels_PT, [0, 50, 120], TASKS, groups, num_bootstrap=20, seed=0) == ()


def test_a_task_that_a_group_cannot_judge_is_left_out_of_its_mean() -> None:
    values_PT, labels_PT = drawn(80)
    sexes_P = np.where(labels_PT[:, 0] > 0.5, "male", "female")

    for row in evaluate_subgroups(
        values_PT, labels_PT, [0.5, 50, 120], TASKS, {"sex": sexes_P}, num_bootstrap=20, seed=0
    ):
        assert row.tasks["sex"].value is None
        assert row.mean_skill is not None
        others = [row.tasks[name].value for name in ("age", "sbp")]
        assert row.mean_skill.value == pytest.approx(np.mean([value for value in others if value is not None]))


def test_patients_are_told_apart_by_sex_age_site_and_camera() -> None:
    labels_PT = np.array([[1, 39.9, 1], [0, 40, 1], [np.nan, 75, 1], [1, np.nan, 1]])
    patient_N = np.array([0, 0, 1, 1, 1, 2, 3])
    sites = np.array(["b", "", "a", "b", "b", "", "a"])

    groups = patient_groups(labels_PT, TASKS, sites, np.full(7, ""), patient_N)

    assert {by: row.tolist() for by, row in groups.items()} == {
        "sex": ["male", "female", "", "male"],
        "age": ["under 40", "40 to 49", "from 70", ""],
        "site": ["b", "b", "", "a"],
    }


def test_the_youngest_come_first() -> None:
    values_PT, labels_PT = drawn(100)
    groups = patient_groups(labels_PT, TASKS, np.full(100, ""), np.full(100, ""), np.arange(100))

    rows = evaluate_subgroups(values_PT, labels_PT, [0, 50, 120], TASKS, groups, num_bootstrap=20, seed=0)

    ages = [row.group for row in rows if row.by == "age"]
    assert ages == ["under 40", "40 to 49", "50 to 59", "60 to 69", "from 70"]
