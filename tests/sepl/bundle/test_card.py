from typing import Any

import numpy as np
import pytest
from bundles import TASKS, bundle_content, planted_conditioning
from graded import GRADES, MIXED, graded_intervals

from sepl.bundle.card import model_card
from sepl.bundle.manifest import Provenance
from sepl.metrics import evaluate
from sepl.tasks import BUILT_IN_TASKS, Task, TaskSplit, TaskTable


def card(**changes: Any) -> str:
    content: dict[str, Any] = {**bundle_content(**changes)}
    keys = ("config", "tasks", "image", "quality", "intervals", "provenance", "evaluation")
    return model_card(**{key: content[key] for key in keys})


def test_it_says_what_is_predicted_first_and_what_from_that() -> None:
    text = card()

    assert "predicted first and propagated: sex, age\n" in text
    assert "predicted from image and priors: sbp, hba1c\n" in text


def test_every_task_has_its_calibration_or_is_said_to_have_none() -> None:
    text = card()

    assert f"| {TASKS['sex'].label} | temperature 2 |" in text
    assert f"| {TASKS['age'].label} | ± 5 y |" in text
    assert f"| {TASKS['hba1c'].label} | not calibrated |" in text


def test_a_bundle_that_was_not_evaluated_says_so() -> None:
    assert "Not evaluated on sealed patients." in card()


@pytest.mark.parametrize(("quality", "words"), [(None, "the default limits"), ("kept", "the limits of the dataset")])
def test_it_says_whose_limits_refuse_photographs(quality: str | None, words: str) -> None:
    text = card(quality=None) if quality is None else card()

    assert f"Those beyond {words}" in text


def test_provenance_counts_patients_where_they_are_known() -> None:
    known = Provenance(
        study="s", dataset_uri="d", fingerprint="f", num_trials=3, num_patients={"train": 60, "validation": 12}
    )

    assert "- patients: 60 train, 12 validation\n" in card(provenance=known)
    assert "- patients: not recorded\n" in card()


def test_a_bar_in_a_label_makes_no_column() -> None:
    odd = Task(name="odd", kind="regression", unit="u", label="a|b")
    tasks = TaskTable.of([BUILT_IN_TASKS["sex"], BUILT_IN_TASKS["age"], odd])
    content = bundle_content()

    text = model_card(
        config=content["config"],
        tasks=tasks,
        image=content["image"],
        quality=content["quality"],
        intervals=content["intervals"],
        provenance=content["provenance"],
        evaluation=None,
    )

    assert "| a\\|b | not calibrated |" in text


def test_a_graded_task_has_its_sets_and_its_confusions() -> None:
    rng = np.random.default_rng(0)
    labels_PT = np.column_stack([rng.integers(0, 2, 40), rng.integers(0, 5, 40), rng.normal(50, 9, 40)]).astype(float)
    tasks = TaskTable.of([BUILT_IN_TASKS["sex"], GRADES, BUILT_IN_TASKS["age"]])
    split = TaskSplit.parse("sex", tasks)
    evaluation = evaluate(
        labels_PT, labels_PT, labels_PT, tasks, cohort_split="test", task_split=split, num_bootstrap=9
    )

    calibrated = card(tasks=tasks, evaluation=evaluation, intervals=graded_intervals())
    bare = card(tasks=tasks)

    assert "| Retinopathy | sets of its 5 levels, temperature 1.5 |" in calibrated
    assert "| Retinopathy | sets of levels not calibrated, temperature 1 |" in bare
    num_mild = int((labels_PT[:, 1] == 1).sum())
    assert "| true level | none | mild | moderate | severe | proliferative |" in calibrated
    assert f"| mild | 0 | {num_mild} | 0 | 0 | 0 |" in calibrated
    assert "true level" not in bare


def test_it_says_that_grades_cannot_be_known() -> None:
    known = planted_conditioning(MIXED)
    content = {**bundle_content(tasks=MIXED), "conditioning": known}
    keys = ("config", "tasks", "image", "quality", "intervals", "conditioning", "provenance", "evaluation")

    text = model_card(**{key: content[key] for key in keys})

    assert "0 or 1); no grade or class." in text
    assert "| age, sex | 100 | sbp |" in text
