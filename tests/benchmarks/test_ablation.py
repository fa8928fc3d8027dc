"""Arms that differ in one thing, and true priors of the sealed test patients for the arms that are told them."""

from pathlib import Path
from typing import get_args

import cv2
import numpy as np
from builders import build_cohort, draw_picture

from benchmarks.ablation import ARMS, NONE, ORACLE, QUICK_ARMS, REFERENCE, SHUFFLED, settings
from benchmarks.support.skills import skills_of
from sepl.config import GateInputs, Propagation, TrialConfig
from sepl.data.cohort.cohort import read_cohort
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.preparation.prepare import prepare
from sepl.training.input.batches import TrainingData


def test_every_arm_is_the_reference_with_what_it_names_changed_and_nothing_else() -> None:
    configs = settings(list(ARMS), num_epochs=3)
    reference = configs[REFERENCE].to_params()

    for arm, config in configs.items():
        params = config.to_params()
        assert {name: value for name, value in params.items() if value != reference[name]} == ARMS[arm]
    assert len(set(map(str, configs.values()))) == len(ARMS)
    assert set(QUICK_ARMS) <= set(ARMS)


def test_every_prior_and_every_gate_that_the_head_knows_has_an_arm() -> None:
    models = [config.model for config in settings(list(ARMS), num_epochs=3).values()]

    assert {model.propagation for model in models} == set(get_args(Propagation))
    assert {model.gate_inputs for model in models} == set(get_args(GateInputs))


def test_sealed_patients_are_judged_with_their_true_priors_or_somebody_elses(tmp_path: Path) -> None:
    """Diabetes is HbA1c above 6.5, and these pictures show neither: only who is told a patient's HbA1c knows."""
    dataset = _dataset_that_shows_nothing(tmp_path)
    setting = TrialConfig.from_params(
        {
            "backbone": "test_vit",
            "task_split": "hba1c",
            "num_experts": 2,
            "hidden_width": 16,
            "num_epochs": 10,
            "batch_size": 16,
            "learning_rate": 3e-3,
            "augment_strength": 0.0,
        }
    )
    data = TrainingData.load(dataset, device="cpu")
    diabetes = dataset.tasks.index("diabetes")

    skill = {
        arm: skills_of(setting.with_params(**ARMS[arm]), data, dataset)[0, diabetes] for arm in (NONE, ORACLE, SHUFFLED)
    }

    assert skill[ORACLE] > 0.8
    assert max(skill[NONE], skill[SHUFFLED]) < 0.5  # of 12 patients: chance reaches some way from 0


def _dataset_that_shows_nothing(folder: Path) -> PreparedDataset:
    cohort = build_cohort(folder / "cohort", num_patients=60, image_size=40)
    rng = np.random.default_rng(0)
    for picture in (folder / "cohort" / "images").iterdir():
        cv2.imwrite(str(picture), draw_picture(40, (0.5, 0.5, 0.5), spot=False, rng=rng))
    prepare(read_cohort(cohort), folder / "dataset", 32, num_workers=1)
    return PreparedDataset.open(folder / "dataset")
