from dataclasses import replace

import numpy as np
import pytest

from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import DatasetError
from sepl.training.input.batches import TrainingData, ValidationSet
from sepl.training.supervised.validation import labels_at_hand, validation_skills


def _true_outputs(dataset: PreparedDataset) -> np.ndarray:
    """What a perfect network would answer; 0 where nobody knows."""
    return np.nan_to_num(dataset.scaler.scale(dataset.photographs("validation").labels_NT)).astype(np.float32)


def _validation(data: TrainingData) -> ValidationSet:
    assert data.validation is not None
    return data.validation


def test_true_outputs_have_skill_one_and_the_median_has_none(dataset: PreparedDataset, data: TrainingData) -> None:
    truth_NT = _true_outputs(dataset)

    perfect = validation_skills(truth_NT, _validation(data), data.scaler, data.tasks)
    median = validation_skills(np.zeros_like(truth_NT), _validation(data), data.scaler, data.tasks)

    assert perfect == pytest.approx(dict.fromkeys(data.tasks.names, 1.0), abs=1e-5)
    assert median == pytest.approx(dict.fromkeys(data.tasks.names, 0.0), abs=1e-5)


def test_the_two_eyes_of_a_patient_count_as_their_mean(dataset: PreparedDataset, data: TrainingData) -> None:
    outputs_NT = _true_outputs(dataset)
    patient_N = _validation(data).photographs.patient_index
    is_first_N = np.r_[True, patient_N[1:] != patient_N[:-1]]

    outputs_NT[is_first_N] += 1.0
    outputs_NT[~is_first_N] -= 1.0
    skills = validation_skills(outputs_NT, _validation(data), data.scaler, data.tasks)

    assert skills == pytest.approx(dict.fromkeys(data.tasks.names, 1.0), abs=1e-5)


def test_a_task_of_one_class_is_nan_and_none_at_all_is_refused(dataset: PreparedDataset, data: TrainingData) -> None:
    validation, outputs_NT = _validation(data), _true_outputs(dataset)
    labels_PT = validation.labels_PT.copy()
    labels_PT[:, data.tasks.index("sex")] = 1.0

    skills = validation_skills(outputs_NT, ValidationSet(validation.photographs, labels_PT), data.scaler, data.tasks)

    assert np.isnan(skills["sex"])
    assert not np.isnan(skills["age"])
    nothing = ValidationSet(validation.photographs, np.full_like(labels_PT, np.nan))
    with pytest.raises(DatasetError, match="should have labels that differ in at least one task"):
        validation_skills(outputs_NT, nothing, data.scaler, data.tasks)


def test_priors_of_a_patient_who_is_alone_cannot_be_shuffled(dataset: PreparedDataset) -> None:
    photographs = dataset.photographs("test")
    alone = replace(
        photographs,
        images=photographs.images[:1],
        patients=photographs.patients[:1],
        labels_NT=photographs.labels_NT[:1],
        shards=(photographs.shards[0][:1],),
    )

    assert labels_at_hand("oracle", alone, dataset.scaler, dataset.tasks) is not None
    with pytest.raises(DatasetError, match=r"test should have two patients or more, .* had 1"):
        labels_at_hand("shuffled", alone, dataset.scaler, dataset.tasks)
