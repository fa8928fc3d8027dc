"""Known values beside grades and classes, of a network that is told them: what is judged, and by whom."""

from pathlib import Path

import numpy as np
import pytest
import torch
from graded_cohort import build_graded_cohort

from sepl.bundle.format import compose_bundle
from sepl.config import TrialConfig
from sepl.data.cohort.cohort import read_cohort
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.preparation.prepare import prepare
from sepl.metrics import Evaluation
from sepl.models.build import build_network
from sepl.scoring.compose import compose_content, provenance_of_one
from sepl.scoring.evaluation import evaluate_bundle
from sepl.scoring.scorer import Scorer
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun, train
from sepl.tuning.trials.known_pattern import judge_known

CONFIG = TrialConfig.from_params(
    {
        "backbone": "test_resnet",
        "task_split": "age+retinopathy",
        "num_experts": 2,
        "hidden_width": 8,
        "known_share": 0.5,
        "num_epochs": 1,
    }
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """Two numbers, a grade and a class."""
    folder: Path = tmp_path_factory.mktemp("data")
    file = build_graded_cohort(folder / "cohort", num_patients=200)
    file.write_text(file.read_text(encoding="utf-8") + '[tasks.weight]\ncolumn = "age"\n', encoding="utf-8")
    prepare(read_cohort(file), folder / "dataset", 32, num_workers=1)
    return PreparedDataset.open(folder / "dataset")


@pytest.fixture(scope="module")
def scorer(dataset: PreparedDataset) -> Scorer:
    torch.manual_seed(0)
    state = build_network(CONFIG.model, dataset.tasks, dataset.image_spec.size).state_dict()
    content = compose_content(
        CONFIG, dataset, state, provenance_of_one(CONFIG, dataset, 1), cohort_split="validation", unvalidated=state
    )
    return Scorer(compose_bundle(**content)[0], device="cpu")


def test_grades_and_classes_are_neither_known_nor_judged(dataset: PreparedDataset, scorer: Scorer) -> None:
    conditioning = scorer.bundle.manifest.conditioning
    assert conditioning is not None
    assert conditioning.network_inputs == ("age",)  # the grade is a prior too, but nobody can give it
    assert {row.known for row in conditioning.patterns} == {("age",), ("weight",), ("age", "weight")}

    evaluation = evaluate_bundle(scorer, dataset, "test", num_bootstrap=9)

    assert {row.known: [task.name for task in row.tasks] for row in evaluation.known} == {("age",): ["weight"]}
    assert Evaluation.parse_json(evaluation.model_dump_json(), "evaluation") == evaluation


def test_a_value_that_is_known_leaves_grades_and_classes_as_they_are(dataset: PreparedDataset, scorer: Scorer) -> None:
    photographs = dataset.photographs("test")
    pixels, names = np.concatenate(photographs.shards), photographs.images.tolist()

    unknown = scorer.score_pixels(names, pixels)
    known = scorer.score_pixels(names, pixels, known=[{"age": 50.0}] * len(names))

    assert all(row.known == ("age",) for row in known)
    for name in ("retinopathy", "finding"):
        assert [row.values[name] for row in known] == [row.values[name] for row in unknown]


def test_a_study_that_knows_a_value_judges_the_other_number_and_all_grades(dataset: PreparedDataset) -> None:
    data = TrainingData.load(dataset, known=judge_known("age", dataset))
    run = TrainingRun(CONFIG, data)

    (epoch,) = train(run)

    assert np.isfinite(epoch.validation_skill)
    assert epoch.skill_per_task.keys() == set(dataset.tasks.names)
