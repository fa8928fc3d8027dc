"""Known values in scoring: they stand as they are, sharpen the others, and are ignored with a reason when wrong."""

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from builders import build_dataset
from bundles import TASKS, bundle_content, draw_fundus, planted_conditioning

from sepl.bundle.format import Intervals, compose_bundle
from sepl.bundle.manifest import CARD
from sepl.config import TrialConfig
from sepl.data.dataset.scaling import LabelScaler
from sepl.errors import ConfigError
from sepl.metrics import Evaluation
from sepl.models.build import build_network
from sepl.scoring.compose import compose_content, provenance_of_one
from sepl.scoring.conditioning import fit_conditioning
from sepl.scoring.evaluation import evaluate_bundle, per_patient
from sepl.scoring.known import Given, score_known
from sepl.scoring.rows import Score
from sepl.scoring.scorer import Scorer
from sepl.scoring.table import score_table
from sepl.tasks import BUILT_IN_TASKS, Task, TaskTable

PHOTOGRAPHS = [(f"{seed}.jpg", draw_fundus(seed)) for seed in range(3)]


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(compose_bundle(**bundle_content(conditioning=planted_conditioning()))[0], device="cpu")


def _score(scorer: Scorer, known: Sequence[dict[str, Any]], patients: Sequence[str] = ()) -> list[Score]:
    return scorer.score_bytes(PHOTOGRAPHS, patients, known)


def test_with_nothing_known_a_row_is_exactly_as_before(scorer: Scorer) -> None:
    before = _score(Scorer(compose_bundle(**bundle_content())[0], device="cpu"), ())

    for found in (_score(scorer, ()), _score(scorer, [{}, {}, {}])):
        assert [row.values for row in found] == [row.values for row in before]
        assert [(row.known, row.given_ignored) for row in found] == [((), None)] * 3


def test_a_known_value_stands_as_it_is_and_moves_the_others_of_its_row_alone(scorer: Scorer) -> None:
    before = _score(scorer, ())

    found = _score(scorer, [{}, {"age": 71.0, "sex": 1.0}, {}])

    assert (found[0], found[2]) == (before[0], before[2])
    row = found[1]
    assert row.known == ("sex", "age")
    assert (row.values["age"].value, row.values["age"].low, row.values["age"].high) == (71.0, 71.0, 71.0)
    assert (row.values["sex"].value, row.values["sex"].low, row.values["sex"].high) == (1.0, 1.0, 1.0)
    assert row.values["sbp"].value > before[1].values["sbp"].value
    low, high = row.values["hba1c"].low, row.values["hba1c"].high
    assert low is not None
    assert high is not None
    assert low < row.values["hba1c"].value < high  # not calibrated before, but conditional


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ({"age": math.nan}, "age: is no plausible number"),
        ({"age": -math.inf}, "age: is no plausible number"),
        ({"age": 1e308}, r"age: 1e\+308 is outside 0 to 120 y"),
        ({"age": 10**400}, "age: is no plausible number"),
        ({"sbp": 3.0}, "sbp: 3 is outside 50 to 300 mmHg"),
        ({"sex": 0.5}, "sex: 0.5 should be 0 or 1"),
        ({"hba1c": 1.6, "age": 50}, None),
    ],
)
def test_an_implausible_value_is_ignored_with_its_reason(
    scorer: Scorer, known: dict[str, float], reason: str | None
) -> None:
    found = _score(scorer, [known, {}, {}])[0]

    if reason is None:
        assert found.given_ignored is None
        return
    assert found.known == ()
    assert found.values == _score(scorer, ())[0].values
    assert found.given_ignored is not None
    assert re.fullmatch(reason, found.given_ignored)


def test_a_value_far_from_the_predicted_one_is_another_patients() -> None:
    conditioning = planted_conditioning()
    sharp = [[value / 900 for value in row] for row in conditioning.covariance]
    sharp = conditioning.model_copy(update={"covariance": tuple(map(tuple, sharp))})
    scorer = Scorer(compose_bundle(**bundle_content(conditioning=sharp))[0], device="cpu")
    predicted = _score(scorer, ())[0].values["age"].value

    near, far = (_score(scorer, [{"age": predicted + off}, {}, {}])[0] for off in (2.0, 12.0))

    assert near.known == ("age",)
    assert far.known == ()
    assert far.given_ignored is not None
    assert far.given_ignored.startswith("age: ")
    assert "wrong patient or unit" in far.given_ignored


def test_a_true_extreme_value_of_a_long_tailed_factor_is_believed() -> None:
    tasks = TaskTable.of(BUILT_IN_TASKS[name] for name in ("age", "sbp", "dbp", "triglycerides"))
    scaler = LabelScaler(medians=(50.0, 120.0, 75.0, 110.0), iqrs=(14.0, 22.0, 14.0, 80.0))
    rng = np.random.default_rng(0)
    labels_PT = np.asarray(scaler.unscale(rng.normal(size=(120, 4))), np.float64)
    labels_PT[:, 3] = 110 * np.exp(0.6 * rng.normal(size=120))
    conditioning = fit_conditioning(np.zeros((120, 4)), labels_PT, tasks, scaler, Intervals(), [("age",)])
    content = {**bundle_content(), "tasks": tasks, "scaler": scaler, "intervals": Intervals(), "state": {}}
    manifest = compose_bundle(**{**content, "conditioning": conditioning})[0].manifest  # type: ignore[arg-type]
    before = manifest.model_copy(update={"conditioning": conditioning.model_copy(update={"limits": ()})})
    given = [
        Given({"triglycerides": value}) for value in (450.0, 5600.0)
    ]  # one in a hundred of such patients has the first or more, nobody the second

    assert score_known(np.zeros((2, 4)), given, manifest).known == [("triglycerides",), ()]
    assert score_known(np.zeros((2, 4)), given, before).known == [(), ()]


def test_a_value_without_limits_and_beyond_reason_is_no_number_to_reckon_with() -> None:
    content = bundle_content()
    tasks = TaskTable.of([*TASKS.root[:3], Task(name="hba1c", kind="regression", unit="%", label="No limits")])
    content = {**content, "tasks": tasks, "conditioning": planted_conditioning(tasks)}
    scorer = Scorer(compose_bundle(**content)[0], device="cpu")  # type: ignore[arg-type]

    found = _score(scorer, [{"hba1c": 1e308}, {"hba1c": -1e308}, {}])

    assert [row.known for row in found] == [(), (), ()]
    assert all(math.isfinite(value.value) for row in found for value in row.values.values())


def test_a_patients_photographs_share_what_is_known_of_any(scorer: Scorer) -> None:
    found = _score(scorer, [{"age": 60}, {}, {"sex": 0}], ["a", "b", "a"])

    assert [row.known for row in found] == [("sex", "age"), (), ("sex", "age")]
    assert found[0].values == found[2].values


def test_a_known_value_of_a_photograph_that_cannot_be_read_is_its_patients_too(scorer: Scorer) -> None:
    found = scorer.score_bytes([("a", b"no picture"), PHOTOGRAPHS[0]], ["a", "a"], [{"age": 60}, {}])

    assert (found[0].status, found[0].known) == ("failed", ())
    assert found[1].known == ("age",)


def test_two_visits_are_averaged_and_two_people_are_not(scorer: Scorer) -> None:
    visits = _score(scorer, [{"age": 60}, {"age": 61}, {}], ["a", "a", "b"])
    people = _score(scorer, [{"age": 60, "sex": 1}, {"age": 20, "sex": 0}, {}], ["a", "a", "b"])

    assert visits[0].values["age"].value == 60.5
    assert people[0].known == ()
    assert people[0].given_ignored == (
        "sex: one patient's photographs have 1, 0; age: one patient's photographs have 60, 20"
    )


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ([{"shoe_size": 43.0}, {}, {}], "known should be of sex, age, sbp, hba1c; was of shoe_size"),
        ([{}], "known should be one a photograph, 3, were 1"),
        ([{"age": "61"}, {}, {}], "known value of age should be a number, was '61'"),
        ([{"age": [61]}, {}, {}], r"known value of age should be a number, was \[61\]"),
        ([{"age": None}, {}, {}], "known value of age should be a number, was None"),
    ],
)
def test_what_is_no_known_value_is_refused(scorer: Scorer, known: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _score(scorer, known)


def test_a_bundle_without_conditioning_says_how_to_calibrate_anew() -> None:
    scorer = Scorer(compose_bundle(**bundle_content())[0], device="cpu")

    with pytest.raises(ConfigError, match=r"calibrate anew with `python -m jobs.calibrate --bundle … --data …`"):
        _score(scorer, [{"age": 50}, {}, {}])


def test_a_score_table_tells_what_was_known_and_what_was_not_believed(scorer: Scorer) -> None:
    scores = _score(scorer, [{"age": 60, "sex": 1}, {"age": 999}, {}])

    rows = score_table(scores, scorer.bundle.manifest).to_pylist()

    assert [row["known"] for row in rows] == ["sex+age", None, None]
    assert [row["given_ignored"] for row in rows] == [None, "age: 999 is outside 0 to 120 y", None]
    assert (rows[0]["age"], rows[0]["age_lo"], rows[0]["age_hi"]) == (60.0, 60.0, 60.0)


BODY = TaskTable.of(BUILT_IN_TASKS[name] for name in ("height", "weight", "bmi", "sbp"))


def test_what_follows_is_exact_and_marked_as_known() -> None:
    content: Any = {
        **bundle_content(),
        "tasks": BODY,
        "scaler": LabelScaler(medians=(170.0, 70.0, 24.0, 120.0), iqrs=(12.0, 15.0, 4.0, 20.0)),
        "intervals": Intervals(),
        "state": {},
        "conditioning": planted_conditioning(BODY).model_copy(update={"patterns": ()}),
    }
    bundle = compose_bundle(**content)[0]

    found = score_known(np.zeros((2, 4)), [Given({"height": 180.0, "weight": 81.0}), Given({})], bundle.manifest)

    assert found.known == [("height", "weight", "bmi"), ()]
    np.testing.assert_allclose(found.found.values_NT[0], [180, 81, 25, 120])
    np.testing.assert_allclose(found.found.low_NT[0, :3], [180, 81, 25])


def test_a_task_by_threshold_is_exact_where_all_that_it_compares_is_known() -> None:
    tasks = TaskTable.of([*TASKS.root, Task(name="old", kind="binary", unit="probability", label="Old", low=0, high=1)])
    rules = {"old": "age >= 65 and sex == 1"}
    content = {**bundle_content(), "tasks": tasks, "conditioning": planted_conditioning(tasks), "rules": rules}
    content |= {"scaler": LabelScaler(medians=(0, 50, 120, 6, 0), iqrs=(1, 10, 20, 1, 1)), "state": {}}
    manifest = compose_bundle(**content)[0].manifest  # type: ignore[arg-type]
    rows = [{"age": 70.0, "sex": 1.0}, {"age": 60.0, "sex": 1.0}, {"age": 70.0}, {"age": 70.0, "sex": 1.0, "old": 0.0}]

    found = score_known(np.zeros((4, 5)), [Given(row) for row in rows], manifest)

    assert found.known == [("sex", "age", "old"), ("sex", "age", "old"), ("age",), ()]
    assert found.found.values_NT[:2, 4].tolist() == [1.0, 0.0]
    assert 0 < found.found.values_NT[2, 4] < 1  # predicted
    assert found.ignored == [None, None, None, "old 0 contradicts 1 of age 70 and sex 1"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Scorer]:
    """A dataset with as many patients as conditioning needs, and a bundle calibrated on it."""
    dataset = build_dataset(tmp_path_factory.mktemp("data"), num_patients=80)
    config = TrialConfig.from_params(
        {"backbone": "test_resnet", "task_split": "demographic", "num_experts": 2, "hidden_width": 8}
    )
    state = build_network(config.model, dataset.tasks, dataset.image_spec.size).state_dict()
    content = compose_content(
        config, dataset, state, provenance_of_one(config, dataset, 1), cohort_split="validation", unvalidated=state
    )
    return dataset, Scorer(compose_bundle(**content)[0], device="cpu")


def test_composing_fits_conditioning_on_calibration_and_validation_patients(trained: tuple[Any, Scorer]) -> None:
    dataset, scorer = trained

    conditioning = scorer.bundle.manifest.conditioning

    assert conditioning is not None
    counts = dataset.manifest.num_patients
    assert conditioning.num_patients == counts["calibration"] + counts["validation"]
    assert "validation patients through a network that was not trained on them" in conditioning.source
    assert [pattern.known for pattern in conditioning.declared] == [("sex", "age")]


@pytest.mark.parametrize("cohort_split", ["calibration", "validation"])
def test_nothing_is_said_of_known_values_on_patients_whose_errors_were_learned(
    trained: tuple[Any, Scorer], cohort_split: str
) -> None:
    dataset, scorer = trained

    assert evaluate_bundle(scorer, dataset, cohort_split, num_bootstrap=20).known == ()
    assert scorer.bundle.evaluation is not None
    assert scorer.bundle.evaluation.known == ()


def test_an_evaluation_tells_what_declared_values_bring_and_so_does_the_card(trained: tuple[Any, Scorer]) -> None:
    dataset, scorer = trained

    evaluation = evaluate_bundle(scorer, dataset, "test", num_bootstrap=20)

    assert [row.known for row in evaluation.known] == [("sex", "age")]
    found = evaluation.known[0]
    assert found.num_patients == evaluation.num_patients
    assert {task.name for task in found.tasks} == {"sbp", "hba1c", "diabetes"}
    assert found["sbp"].skill.unknown.value == pytest.approx(evaluation["sbp"].skill.value)
    assert Evaluation.parse_json(evaluation.model_dump_json(), "evaluation") == evaluation
    older = evaluation.model_dump(exclude={"known"})
    assert Evaluation.parse(older, "evaluation").known == ()
    content: Any = {**bundle_content(), "tasks": dataset.tasks, "scaler": dataset.scaler, "intervals": Intervals()}
    conditioning = scorer.bundle.manifest.conditioning
    content |= {"conditioning": conditioning, "evaluation": evaluation}
    _, files = compose_bundle(**content)
    card = files[CARD].decode()
    assert "sex, age known:" in card
    assert "known − known alone" in card


def test_photographs_are_scored_as_the_patients_are_evaluated(trained: tuple[Any, Scorer]) -> None:
    dataset, scorer = trained
    tasks = scorer.bundle.manifest.tasks
    photographs = dataset.photographs("test")
    outputs_PT, labels_PT = per_patient(scorer, dataset, "test")
    known_PT = np.where(np.isin(tasks.names, ("age", "sex")), labels_PT, np.nan)
    rows = [{name: row[i] for i, name in enumerate(tasks.names) if np.isfinite(row[i])} for row in known_PT]

    expected = score_known(outputs_PT, [Given(row) for row in rows], scorer.bundle.manifest)
    found = scorer.score_pixels(
        photographs.images.tolist(),
        np.concatenate(photographs.shards),
        photographs.patients.tolist(),
        [rows[patient] for patient in photographs.patient_index],
    )

    assert any(row.known for row in found)
    for row, patient in zip(found, photographs.patient_index, strict=True):
        values = [row.values[name].value for name in tasks.names]
        np.testing.assert_allclose(values, expected.found.values_NT[patient], atol=1e-5)
        assert (row.known, row.given_ignored) == (expected.known[patient], expected.ignored[patient])
