"""What follows from known values: the body mass index, and tasks that a cohort decides by a rule."""

import numpy as np
import pytest
from bundles import TASKS
from hypothesis import given
from hypothesis import strategies as st

from sepl.data.rules import parse_rule
from sepl.scoring.relations import contradiction, derived, implied, relations_of
from sepl.tasks import BUILT_IN_TASKS, Task, TaskTable

BODY = TaskTable.of(BUILT_IN_TASKS[name] for name in ("height", "weight", "bmi", "sbp"))
RULES = {"obese": "bmi >= 30", "ill": "obese == 1 and not sbp < 140"}
DISEASES = TaskTable.of(
    [*BODY.root, *(Task(name=name, kind="binary", unit="probability", label=name, low=0, high=1) for name in RULES)]
)
OF_BODY, OF_DISEASES = relations_of(BODY, {}), relations_of(DISEASES, RULES)


def test_the_body_mass_index_follows_from_weight_and_height() -> None:
    assert derived({"height": 180.0, "weight": 81.0}, BODY, OF_BODY) == {"bmi": pytest.approx(25.0)}
    assert derived({"height": 180.0}, BODY, OF_BODY) == {}
    assert derived({"height": 60.0, "weight": 390.0}, BODY, OF_BODY) == {}  # 1083 is nobody's
    assert relations_of(TASKS, {}) == ()


def test_a_body_mass_index_that_contradicts_weight_and_height_takes_all_three_with_it() -> None:
    assert contradiction({"height": 180.0, "weight": 81.0, "bmi": 25.1}, BODY, OF_BODY) == {}
    reasons = contradiction({"height": 180.0, "weight": 81.0, "bmi": 35.0}, BODY, OF_BODY)
    assert set(reasons) == {"height", "weight", "bmi"}


@given(bmi=st.floats(10, 60), sbp=st.floats(80, 220))
def test_a_task_by_threshold_follows_as_preparation_labels_it(bmi: float, sbp: float) -> None:
    found = derived({"bmi": bmi, "sbp": sbp}, DISEASES, OF_DISEASES)

    obese = parse_rule(RULES["obese"]).evaluate({"bmi": np.array([bmi])})
    ill = parse_rule(RULES["ill"]).evaluate({"obese": obese, "sbp": np.array([sbp])})
    assert found == {"obese": obese[0], "ill": ill[0]}
    assert contradiction({"bmi": bmi, "sbp": sbp, **found}, DISEASES, OF_DISEASES) == {}


def test_what_follows_decides_others_in_turn() -> None:
    body = {"height": 160.0, "weight": 90.0}

    assert derived({**body, "sbp": 150.0}, DISEASES, OF_DISEASES) == {
        "bmi": pytest.approx(35.16, abs=0.01),
        "obese": 1.0,
        "ill": 1.0,
    }
    assert derived({"sbp": 150.0}, DISEASES, OF_DISEASES) == {}  # whether obese is open
    assert implied(("height", "weight"), OF_DISEASES) == ("bmi", "obese")
    assert implied(("sbp", "bmi"), OF_DISEASES) == ("obese", "ill")


def test_a_given_task_by_threshold_that_contradicts_its_rule_is_told_with_what_it_compares() -> None:
    reasons = contradiction({"bmi": 35.0, "obese": 0.0}, DISEASES, OF_DISEASES)

    assert reasons == dict.fromkeys(("obese", "bmi"), "obese 0 contradicts 1 of bmi 35")
    assert set(contradiction({"height": 160.0, "weight": 90.0, "obese": 0.0}, DISEASES, OF_DISEASES)) == {
        "obese",
        "bmi",
    }
