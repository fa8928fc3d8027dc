from typing import Any

import numpy as np
import pytest

from sepl.errors import ConfigError
from sepl.metrics import Evaluation, TaskEvaluation, evaluate, fit_floor
from sepl.tasks import BUILT_IN_TASKS, Task, TaskSplit, TaskTable

TASKS = TaskTable.of(BUILT_IN_TASKS[name] for name in ("sex", "age", "sbp", "bun"))
DEMOGRAPHIC = TaskSplit.parse("demographic", TASKS)


def cohort(num_patients: int, seed: int = 0) -> np.ndarray:
    """sbp depends on age and sex, bun on neither; a fifth of the labels of bun is absent."""
    rng = np.random.default_rng(seed)
    sex = rng.integers(0, 2, num_patients).astype(float)
    age = rng.uniform(30, 80, num_patients)
    sbp = 90 + 0.6 * age + 5 * sex + rng.normal(0, 5, num_patients)
    bun = np.where(rng.random(num_patients) < 0.2, np.nan, rng.normal(14, 4, num_patients))
    return np.column_stack([sex, age, sbp, bun])


def evaluated(values_PT: np.ndarray, labels_PT: np.ndarray, **options: Any) -> Evaluation:
    return evaluate(
        values_PT, labels_PT, cohort(400, seed=1), TASKS, cohort_split="test", task_split=DEMOGRAPHIC, **options
    )


def test_the_floor_knows_what_age_and_sex_tell_and_no_more():
    labels_PT = cohort(300)

    evaluation = evaluated(labels_PT.copy(), labels_PT)

    assert evaluation["sbp"].floor_skill.value == pytest.approx(0.53, abs=0.1)
    assert evaluation["bun"].floor_skill.value == pytest.approx(0.0, abs=0.05)


def test_the_floor_predicts_no_task_from_itself():
    train_PT, labels_PT = cohort(400, seed=1), cohort(300)

    floor_PT = fit_floor(train_PT, labels_PT, TASKS)

    assert len(np.unique(floor_PT[:, TASKS.index("age")])) == 2  # one figure a sex
    assert abs(np.corrcoef(floor_PT[:, 0], labels_PT[:, 0])[0, 1]) < 0.2


def test_the_floor_is_given_by_the_training_patients_alone():
    train_PT, labels_PT = cohort(400, seed=1), cohort(300)
    blinded_PT = labels_PT.copy()
    blinded_PT[:, 2:] = np.nan

    assert np.array_equal(fit_floor(train_PT, labels_PT, TASKS)[:, 2:], fit_floor(train_PT, blinded_PT, TASKS)[:, 2:])


def test_a_perfect_prediction_stands_above_the_floor_with_a_closed_interval():
    labels_PT = cohort(300)

    evaluation = evaluated(np.nan_to_num(labels_PT), labels_PT)

    assert evaluation.mean_skill.value == pytest.approx(1.0)
    assert evaluation.mean_skill_over_floor.low is not None
    assert evaluation.mean_skill_over_floor.low > 0.3
    assert evaluation["bun"].num_patients == int(np.isfinite(labels_PT[:, 3]).sum())


def test_the_bootstrap_interval_of_a_mean_error_agrees_with_the_normal_one():
    labels_PT = cohort(500)
    noise_P = np.random.default_rng(5).normal(0, 8, 500)
    values_PT = labels_PT.copy()
    values_PT[:, 2] += noise_P

    mae = evaluated(values_PT, labels_PT)["sbp"].measures["mae"]

    half = 1.96 * np.abs(noise_P).std() / np.sqrt(500)
    assert mae.value == pytest.approx(np.abs(noise_P).mean())
    assert (mae.high or 0) - (mae.low or 0) == pytest.approx(2 * half, rel=0.15)


def test_same_seed_gives_the_same_evaluation_and_it_survives_json():
    labels_PT = cohort(60)
    values_PT = labels_PT + np.random.default_rng(1).normal(0, 1, labels_PT.shape)

    first, second = evaluated(values_PT, labels_PT), evaluated(values_PT, labels_PT)

    assert first == second
    assert Evaluation.parse_json(first.model_dump_json(), "evaluation.json") == first


def test_coverage_counts_labels_inside_the_interval():
    labels_PT = cohort(200)
    values_PT = labels_PT.copy()
    values_PT[:50, 2] += 10

    evaluation = evaluated(values_PT, labels_PT, half_widths={"sbp": 5.0, "age": None})

    assert evaluation["sbp"].interval_coverage is not None
    assert evaluation["sbp"].interval_coverage.value == pytest.approx(0.75)
    assert evaluation["age"].interval_coverage is None


def test_a_task_that_nobody_has_a_label_for_is_left_out_of_the_mean():
    labels_PT = cohort(100)
    labels_PT[:, 3] = np.nan

    evaluation = evaluated(np.nan_to_num(labels_PT), labels_PT)

    assert evaluation["bun"].skill.value is None
    assert evaluation.mean_skill.value == pytest.approx(1.0)


GRADE = Task(name="stage", kind="ordinal", unit="level", label="Stage", levels=("none", "mild", "severe"))
KIND = Task(name="kind", kind="categorical", unit="level", label="Kind", levels=("a", "b"))
GRADED = TaskTable.of([BUILT_IN_TASKS["age"], GRADE, KIND])


def graded(num_patients: int, seed: int = 0) -> np.ndarray:
    """Age tells the stage in part, the kind not at all; a fifth of the stages is absent."""
    rng = np.random.default_rng(seed)
    age = rng.uniform(20, 80, num_patients)
    stage = np.clip(np.floor((age - 20) / 20 + rng.normal(0, 0.7, num_patients)), 0, 2)
    stage[rng.random(num_patients) < 0.2] = np.nan
    return np.column_stack([age, stage, rng.integers(0, 2, num_patients).astype(float)])


def test_grades_are_evaluated_beside_the_floor_with_what_is_mistaken_for_what():
    labels_PT = graded(300)
    values_PT = np.nan_to_num(labels_PT)
    values_PT[:, 1] = np.minimum(values_PT[:, 1] + (np.arange(300) % 4 == 0), 2)
    present = np.isfinite(labels_PT[:, 1])

    evaluation = evaluate(
        values_PT,
        labels_PT,
        graded(400, seed=1),
        GRADED,
        cohort_split="test",
        task_split=TaskSplit.parse("age", GRADED),
        in_sets={"stage": np.arange(300) % 10 > 0},
    )

    stage, kind = evaluation["stage"], evaluation["kind"]
    assert stage.skill == stage.measures["kappa"]
    assert 0.3 < (stage.floor_skill.value or 0) < (stage.skill.value or 0) < 1
    assert (stage.skill_over_floor.low or 0) > 0
    assert stage.measures["accuracy"].value == pytest.approx((values_PT[present, 1] == labels_PT[present, 1]).mean())
    assert {"usual_accuracy", "mae", "usual_mae"} < stage.measures.keys()
    assert kind.skill.value == pytest.approx(1.0)
    assert kind.floor_skill.value == pytest.approx(0.0, abs=0.15)
    assert kind.measures.keys() == {"balanced_accuracy", "accuracy", "usual_accuracy"}
    assert stage.interval_coverage is not None
    assert stage.interval_coverage.value == pytest.approx(0.9, abs=0.03)
    assert (stage.levels, kind.levels, evaluation["age"].levels) == (GRADE.levels, KIND.levels, ())
    assert stage.confusion is not None
    assert sum(map(sum, stage.confusion)) == stage.num_patients == present.sum()
    assert (evaluation["age"].confusion, stage.num_positive) == (None, None)
    assert Evaluation.parse_json(evaluation.model_dump_json(), "evaluation") == evaluation


@pytest.mark.parametrize("confusion", [((1, 0),), ((1, 0), (0,)), ((1, 0, 0),) * 3, ((1, 0), (0, -1)), ()])
def test_a_confusion_of_other_levels_is_refused(confusion):
    evaluation = evaluated(cohort(60), cohort(60))
    values = evaluation["sbp"].model_dump() | {"kind": "categorical", "levels": ("a", "b")}

    TaskEvaluation.parse(values | {"confusion": ((1, 2), (3, 4))}, "task")
    with pytest.raises(ConfigError, match="confusion of sbp should be 2 rows of as many counts"):
        TaskEvaluation.parse(values | {"confusion": confusion}, "task")
