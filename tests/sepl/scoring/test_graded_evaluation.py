"""A bundle with grades and classes: composed, calibrated and evaluated on the patients of a dataset that has them."""

from typing import Any

import numpy as np
import pytest
from bundles import bundle_content
from graded_cohort import CLASSES, GRADES, build_graded_dataset

from sepl.bundle.format import ModelBundle, compose_bundle
from sepl.bundle.manifest import CARD
from sepl.bundle.skills import SET_SIZE
from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import DatasetError
from sepl.metrics import Evaluation
from sepl.metrics.grades import count_confusions
from sepl.models.build import build_network
from sepl.scoring.compose import calibrated_anew, compose_content, provenance_of_one
from sepl.scoring.evaluation import check_fit, evaluate_bundle, per_patient
from sepl.scoring.scorer import Scorer
from sepl.tasks import TaskTable


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """With as many calibration patients as sets need."""
    return build_graded_dataset(tmp_path_factory.mktemp("data"), num_patients=150)


@pytest.fixture(scope="module")
def bundle(dataset: PreparedDataset) -> ModelBundle:
    config = TrialConfig.from_params(
        {"backbone": "test_resnet", "task_split": "age", "num_experts": 2, "hidden_width": 8}
    )
    state = build_network(config.model, dataset.tasks, dataset.image_spec.size).state_dict()
    content = compose_content(config, dataset, state, provenance_of_one(config, dataset, 1), cohort_split="test")
    return compose_bundle(**content)[0]


def evaluation_of(bundle: ModelBundle) -> Evaluation:
    assert bundle.evaluation is not None
    return bundle.evaluation


def test_composing_calibrates_sets_and_temperatures_and_evaluates_them(
    dataset: PreparedDataset, bundle: ModelBundle
) -> None:
    intervals = bundle.manifest.intervals

    assert intervals.set_thresholds.keys() == {"retinopathy", "finding"}
    assert all(threshold is not None for threshold in intervals.set_thresholds.values())
    assert intervals.temperatures.keys() == {"retinopathy", "finding"}
    for name, levels in (("retinopathy", GRADES), ("finding", CLASSES)):
        row = evaluation_of(bundle)[name]
        coverage, size = row.interval_coverage, row.measures[SET_SIZE].value
        assert coverage is not None
        assert coverage.value is not None
        assert coverage.value >= 0.7  # of 9 to 20 calibration patients
        assert size is not None
        assert 1 <= size <= len(levels)
        assert row.levels == levels
        assert np.array(row.confusion).sum() == row.num_patients
    assert Evaluation.parse_json(evaluation_of(bundle).model_dump_json(), "evaluation") == bundle.evaluation


def test_photographs_are_scored_as_the_patients_are_evaluated(dataset: PreparedDataset, bundle: ModelBundle) -> None:
    """The worst grade of both eyes, the class of the mean."""
    scorer, photographs = Scorer(bundle, device="cpu"), dataset.photographs("test")
    _, labels_PT = per_patient(scorer, dataset, "test")

    scores = scorer.score_pixels(
        photographs.images.tolist(), np.concatenate(photographs.shards), photographs.patients.tolist()
    )

    first = np.unique(photographs.patient_index, return_index=True)[1]
    for name, levels in (("retinopathy", GRADES), ("finding", CLASSES)):
        values_P = np.array([scores[place].values[name].value for place in first])
        labels_P = labels_PT[:, dataset.tasks.index(name)]
        assert count_confusions(values_P, labels_P, len(levels)) == evaluation_of(bundle)[name].confusion


def test_labels_of_patients_are_levels_and_the_worst_where_the_task_says_so(
    dataset: PreparedDataset, bundle: ModelBundle
) -> None:
    photographs = dataset.photographs("test")
    place = dataset.tasks.index("retinopathy")

    _, labels_PT = per_patient(Scorer(bundle, device="cpu"), dataset, "test")

    for patient, label in enumerate(labels_PT[:, place]):
        own = photographs.labels_NT[photographs.patient_index == patient, place]
        np.testing.assert_equal(label, np.nan if np.isnan(own).all() else np.nanmax(own))


def test_the_same_dataset_calibrates_anew_to_the_same(dataset: PreparedDataset, bundle: ModelBundle) -> None:
    content = calibrated_anew(Scorer(bundle, device="cpu"), dataset)

    assert content["intervals"] == bundle.manifest.intervals
    assert content["evaluation"] == bundle.evaluation


def test_nothing_is_told_of_known_values_where_grades_alone_are_left(
    dataset: PreparedDataset, bundle: ModelBundle
) -> None:
    assert bundle.manifest.conditioning is not None
    assert [row.known for row in bundle.manifest.conditioning.declared] == [("age",)]
    assert evaluate_bundle(Scorer(bundle, device="cpu"), dataset, "test", num_bootstrap=9).known == ()


def test_a_dataset_of_other_levels_is_refused(dataset: PreparedDataset, bundle: ModelBundle) -> None:
    fewer = dataset.tasks["retinopathy"].model_copy(update={"levels": GRADES[:3]})
    tasks = TaskTable.of(fewer if task.name == fewer.name else task for task in dataset.tasks)
    other = ModelBundle(bundle.manifest.model_copy(update={"tasks": tasks}), bundle.state, None)

    with pytest.raises(DatasetError, match="none < mild < moderate < severe"):
        check_fit(other, dataset)


def test_the_card_tells_kappa_sets_and_confusions(bundle: ModelBundle) -> None:
    content: Any = {**bundle_content(), "tasks": bundle.manifest.tasks, "scaler": bundle.manifest.scaler}
    content |= {"intervals": bundle.manifest.intervals, "evaluation": bundle.evaluation}

    card = compose_bundle(**content)[1][CARD].decode()

    assert f"| Retinopathy | level | {evaluation_of(bundle)['retinopathy'].num_patients} |" in card
    assert f"kappa {evaluation_of(bundle)['retinopathy'].skill}" in card
    assert "of 4 levels" in card
    assert "| true level | none | mild | moderate | severe |" in card
