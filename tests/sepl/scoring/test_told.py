"""A network that takes known values is told them, in scoring as in evaluation, and conditioned on what it says then."""

from typing import Any

import numpy as np
import pytest
import torch
from builders import build_dataset

from sepl.bundle.format import ModelBundle, compose_bundle
from sepl.bundle.manifest import CARD, parse_manifest
from sepl.config import ModelConfig, TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.models.build import build_network
from sepl.scoring.compose import calibrated_anew, compose_content, provenance_of_one
from sepl.scoring.evaluation import evaluate_bundle, per_patient
from sepl.scoring.known import Given, network_told, score_known
from sepl.scoring.rows import Score
from sepl.scoring.scorer import Scorer
from sepl.scoring.told import as_known, network_inputs, told_by_pattern, told_per_patient, told_tasks


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return build_dataset(tmp_path_factory.mktemp("data"), num_patients=100)


@pytest.fixture(scope="module", params=["none", "attention"])
def fusion(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def scorer(dataset: PreparedDataset, fusion: str) -> Scorer:
    return Scorer(_compose(dataset, known_share=0.5, fusion=fusion), device="cpu")


def _compose(dataset: PreparedDataset, **changes: Any) -> ModelBundle:
    """A bundle of random weights."""
    config = TrialConfig.from_params(
        {"backbone": "test_resnet", "task_split": "demographic", "num_experts": 2, "hidden_width": 8, **changes}
    )
    torch.manual_seed(3)
    state = build_network(config.model, dataset.tasks, dataset.image_spec.size).state_dict()
    content = compose_content(
        config, dataset, state, provenance_of_one(config, dataset, 1), cohort_split="validation", unvalidated=state
    )
    return compose_bundle(**content)[0]


def _known(dataset: PreparedDataset, *names: str) -> list[dict[str, float]]:
    """By patient of the test."""
    photographs = dataset.photographs("test")
    labels_PT = as_known(photographs.per_patient(photographs.labels_NT), dataset.tasks)
    return [
        {
            name: float(row_T[dataset.tasks.index(name)])
            for name in names
            if np.isfinite(row_T[dataset.tasks.index(name)])
        }
        for row_T in labels_PT
    ]


def _score(scorer: Scorer, dataset: PreparedDataset, rows: list[dict[str, float]]) -> list[Score]:
    photographs = dataset.photographs("test")
    return scorer.score_pixels(
        photographs.images.tolist(),
        np.concatenate(photographs.shards),
        photographs.patients.tolist(),
        [rows[patient] for patient in photographs.patient_index],
    )


def test_a_networks_inputs_are_the_priors_of_one_that_was_trained_so(dataset: PreparedDataset) -> None:
    told = ModelConfig(task_split="age+sbp", known_share=0.2)

    assert network_inputs(told, dataset.tasks) == ("age", "sbp")
    assert network_inputs(told.model_copy(update={"known_share": 0.0}), dataset.tasks) == ()
    other = ModelConfig(task_split="sex", known_share=0.2)
    assert told_tasks([told, other], dataset.tasks) == ("sex", "age", "sbp")


def test_patterns_that_the_network_is_told_of_have_residuals_of_their_own(
    scorer: Scorer, dataset: PreparedDataset
) -> None:
    conditioning = scorer.bundle.manifest.conditioning

    assert conditioning is not None
    assert conditioning.network_inputs == ("sex", "age")
    own = [row.known for row in conditioning.patterns if row.residuals is not None]
    assert own == [("sex", "age"), ("sex",), ("age",)]
    again = parse_manifest(scorer.bundle.manifest.to_json(), "bundle.json")
    assert again == scorer.bundle.manifest


def test_the_pattern_rests_on_outputs_with_its_values_told(scorer: Scorer, dataset: PreparedDataset) -> None:
    outputs_PT, _ = per_patient(scorer, dataset, "test")

    told = told_by_pattern(scorer, dataset, "test", [("sex", "age"), ("sex", "hba1c")])

    assert list(told) == [("sex", "age"), ("sex", "hba1c"), ("sex",), ("age",)]
    np.testing.assert_array_equal(told["sex", "hba1c"], told["sex",])  # of hba1c it is told nothing
    priors = [dataset.tasks.index(name) for name in ("sex", "age")]
    others = [index for index in range(len(dataset.tasks)) if index not in priors]
    for told_PT in told.values():
        np.testing.assert_allclose(told_PT[:, priors], outputs_PT[:, priors], atol=1e-5)
        assert (np.abs(told_PT - outputs_PT)[:, others] > 1e-6).any()


def test_told_nothing_it_says_what_it_says_of_the_photographs(scorer: Scorer, dataset: PreparedDataset) -> None:
    outputs_PT, _ = per_patient(scorer, dataset, "test")

    (told_PT,) = told_per_patient(scorer, dataset, "test", [np.full_like(outputs_PT, np.nan)])

    np.testing.assert_allclose(told_PT, outputs_PT, atol=1e-6)
    assert told_per_patient(scorer, dataset, "test", []) == []


@pytest.mark.parametrize("names", [(), ("age",), ("sex", "age"), ("age", "sbp"), ("hba1c",)])
def test_photographs_are_scored_with_what_the_network_says_when_told(
    scorer: Scorer, dataset: PreparedDataset, names: tuple[str, ...]
) -> None:
    manifest, rows = scorer.bundle.manifest, _known(dataset, *names)
    rows[0] = {}
    outputs_PT, _ = per_patient(scorer, dataset, "test")
    given = [Given(row) for row in rows]
    (told_PT,) = told_per_patient(scorer, dataset, "test", [network_told(outputs_PT, given, manifest)])
    expected = score_known(outputs_PT, given, manifest, told_PT)

    found = _score(scorer, dataset, rows)

    patients = dataset.photographs("test").patient_index.tolist()
    for row, patient in zip(found, patients, strict=True):
        values = [row.values[name].value for name in dataset.tasks.names]
        np.testing.assert_allclose(values, expected.found.values_NT[patient], atol=1e-4, rtol=1e-5)
        assert (row.known, row.given_ignored) == (expected.known[patient], expected.ignored[patient])


def test_with_nothing_known_rows_are_exactly_as_without_the_question(scorer: Scorer, dataset: PreparedDataset) -> None:
    rows = _known(dataset, "sex", "age")
    half = [row if patient % 2 else {} for patient, row in enumerate(rows)]

    nothing, some = _score(scorer, dataset, [{}] * len(rows)), _score(scorer, dataset, half)

    patients = dataset.photographs("test").patient_index.tolist()
    assert any(patient % 2 for patient in patients)
    for one, other, patient in zip(nothing, some, patients, strict=True):
        if patient % 2 == 0:
            assert one == other


def test_what_is_not_believed_is_not_told(scorer: Scorer, dataset: PreparedDataset) -> None:
    rows = [{"age": 999.0, "sex": 0.5}] * len(_known(dataset))

    found, nothing = _score(scorer, dataset, rows), _score(scorer, dataset, [{}] * len(rows))

    assert [row.values for row in found] == [row.values for row in nothing]
    assert all(row.known == () for row in found)


def test_an_output_that_is_no_number_when_the_network_is_told_fails_its_row(
    dataset: PreparedDataset, fusion: str
) -> None:
    scorer = Scorer(_compose(dataset, known_share=0.5, fusion=fusion), device="cpu")
    with torch.no_grad():  # beyond float32 as soon as a prior is not 0, which all are as predicted
        for name, parameter in scorer.network.named_parameters():
            if name.startswith("head.prior_heads"):
                parameter.zero_()
            elif name in ("head.experts.prior.weight", "head.experts.out.weight"):
                parameter.fill_(1e38 if "prior" in name else 1e30)
    near = scorer.bundle.manifest.scaler.medians[dataset.tasks.index("age")] + 5.0
    rows = [{"age": near} if patient % 2 else {} for patient in range(len(_known(dataset)))]

    found = _score(scorer, dataset, rows)

    patients = dataset.photographs("test").patient_index.tolist()
    reasons = ["the model's output is not finite" if patient % 2 else None for patient in patients]
    assert [row.reason for row in found] == reasons


def test_an_evaluation_tells_the_network_and_says_what_scoring_does(scorer: Scorer, dataset: PreparedDataset) -> None:
    tasks = dataset.tasks
    photographs = dataset.photographs("test")
    rows = _known(dataset, "sex", "age")

    evaluation = evaluate_bundle(scorer, dataset, "test", num_bootstrap=20)
    scored = _score(scorer, dataset, rows)

    assert [row.known for row in evaluation.known] == [("sex", "age")]
    first = np.unique(photographs.patient_index, return_index=True)[1]
    labels_P = photographs.per_patient(photographs.labels_NT)[:, tasks.index("sbp")]
    values_P = np.array([scored[place].values["sbp"].value for place in first])
    train = dataset.photographs("train")
    median = float(np.median(train.per_patient(train.labels_NT)[:, tasks.index("sbp")]))
    skill = 1 - np.abs(values_P - labels_P).mean() / np.abs(median - labels_P).mean()
    assert evaluation.known[0]["sbp"].skill.known.value == pytest.approx(skill, abs=1e-4)


def test_a_bundle_calibrated_anew_is_told_as_before_and_its_card_says_so(
    scorer: Scorer, dataset: PreparedDataset
) -> None:
    content = calibrated_anew(scorer, dataset)

    bundle, files = compose_bundle(**content)

    conditioning = bundle.manifest.conditioning
    assert conditioning is not None
    assert conditioning.network_inputs == ("sex", "age")
    assert conditioning.fitted_on == ("calibration",)
    assert "The network itself is told sex, age where they are known." in files[CARD].decode()


def test_a_network_that_takes_nothing_is_told_nothing(dataset: PreparedDataset) -> None:
    scorer = Scorer(_compose(dataset), device="cpu")
    conditioning = scorer.bundle.manifest.conditioning

    assert conditioning is not None
    assert conditioning.network_inputs == ()
    assert all(row.residuals is None for row in conditioning.patterns)
    assert told_by_pattern(scorer, dataset, "test", [("sex", "age")]) == {}
    outputs_NT = np.zeros((2, len(dataset.tasks)))
    assert np.isnan(network_told(outputs_NT, [Given({"age": 50.0})] * 2, scorer.bundle.manifest)).all()
