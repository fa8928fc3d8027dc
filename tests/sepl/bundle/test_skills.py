import numpy as np
import pytest
from graded import CAMERA, MIXED
from rich.console import Console

from sepl.bundle.skills import (
    SET_SIZE,
    SKILL_HEADER,
    confusion_rows,
    evaluation_table,
    skill_caption,
    skill_rows,
)
from sepl.metrics import Estimate, Evaluation, evaluate
from sepl.tasks import BUILT_IN_TASKS, TaskSplit, TaskTable

TASKS = TaskTable.of(BUILT_IN_TASKS[name] for name in ("sex", "age", "sbp"))


def labels(num_patients: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    sex, age = rng.integers(0, 2, num_patients).astype(float), rng.uniform(30, 80, num_patients)
    return np.column_stack([sex, age, rng.normal(120, 15, num_patients)])


def evaluated(**options: float) -> Evaluation:
    truth = labels(60, 0)
    guesses = np.column_stack([np.where(truth[:, 0] == 1, 0.8, 0.3), truth[:, 1] + 1, truth[:, 2]])
    return evaluate(
        guesses,
        truth,
        labels(80, 1),
        TASKS,
        cohort_split="validation",
        task_split=TaskSplit.parse("demographic", TASKS),
        reachable_skill=options,
        num_bootstrap=20,
    )


@pytest.fixture
def shown() -> str:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(evaluation_table(evaluated()))
    return capture.get()


def test_there_is_a_row_a_task_and_one_of_the_mean_all_as_wide_as_the_header() -> None:
    rows = skill_rows(evaluated())

    assert [row[0] for row in rows] == [*(task.label for task in TASKS), "mean"]
    assert {len(row) for row in rows} == {len(SKILL_HEADER)}


def test_a_binary_task_has_its_auc_and_its_positives_and_a_regression_its_error_in_units() -> None:
    sex, age, _, _ = skill_rows(evaluated())

    assert sex[2] == f"60 ({int(labels(60, 0)[:, 0].sum())} positive)"
    assert sex[6].startswith("AUC 1.000")
    assert (age[1], age[2]) == ("y", "60")
    assert age[6].startswith("MAE 1.000")


def test_what_is_reachable_is_told_of_the_tasks_where_it_is_known() -> None:
    sex, age, *_ = skill_rows(evaluated(age=0.75))

    assert (sex[5], age[5]) == ("", "0.750")


def test_columns_that_no_task_fills_are_left_out(shown: str) -> None:
    assert "floor" in shown
    assert "reachable" not in shown
    assert "coverage" not in shown


def test_the_caption_names_the_patients_and_the_resamples(shown: str) -> None:
    caption = skill_caption(evaluated())

    assert "60 patients of the cohort split validation" in caption
    assert "(20 resamples)" in caption
    assert "60 validation patients" in shown


def graded(*, with_sets: bool = True) -> Evaluation:
    rng = np.random.default_rng(0)
    truth = np.column_stack([labels(60, 0), rng.integers(0, [5, 3], (60, 2))]).astype(np.float64)[:, [0, 3, 1, 4, 2]]
    guesses = truth.copy()
    guesses[:20, [1, 3]] = 0
    sets = {"retinopathy": rng.random(60) < 0.9} if with_sets else {}
    evaluation = evaluate(
        guesses,
        truth,
        truth,
        MIXED,
        cohort_split="test",
        task_split=TaskSplit.parse("demographic", MIXED),
        in_sets=sets,
        num_bootstrap=20,
    )
    row = evaluation["retinopathy"]
    sized = row.model_copy(update={"measures": {**row.measures, SET_SIZE: Estimate(value=2.1, low=2.0, high=2.2)}})
    tasks = tuple(sized if task.name == row.name and with_sets else task for task in evaluation.tasks)
    return evaluation.model_copy(update={"tasks": tasks})


def test_a_graded_task_has_its_kappa_or_accuracies_and_the_worth_of_its_sets() -> None:
    evaluation = graded()
    _, grade, _, camera, *_ = skill_rows(evaluation)

    assert grade[6].startswith(f"kappa {evaluation['retinopathy'].skill}, MAE ")
    assert grade[7].startswith("MAE ")
    assert grade[8] == f"{evaluation['retinopathy'].interval_coverage} in sets of 2.100 of 5 levels"
    assert camera[6].startswith("balanced accuracy ")
    assert camera[7].startswith("accuracy ")
    assert camera[8] == ""
    assert "quadratic-weighted kappa" in skill_caption(evaluation)


def test_confusions_are_rows_of_true_levels() -> None:
    evaluation = graded()

    rows = confusion_rows(evaluation["camera"])

    assert [row[0] for row in rows] == list(CAMERA.levels)
    assert [[int(count) for count in row[1:]] for row in rows] == [
        list(row) for row in evaluation["camera"].confusion or ()
    ]
    assert confusion_rows(evaluation["age"]) == []


def test_a_terminal_is_told_of_grades_where_there_are_some() -> None:
    console = Console(width=140)
    with console.capture() as capture:
        console.print(evaluation_table(graded(with_sets=False)))

    assert "levels" in capture.get()
    assert "of grades: quadratic kappa" in capture.get()


def test_nothing_is_told_of_grades_where_there_are_none(shown: str) -> None:
    assert "grades" not in shown
    assert "grades" not in skill_caption(evaluated())
