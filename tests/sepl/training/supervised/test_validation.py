from dataclasses import replace

import numpy as np
import pytest
from planted_data import GRADED_TASKS, graded_data

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


def test_levels_that_are_told_surely_have_skill_one() -> None:
    data = graded_data(1)
    validation = _validation(data)
    labels_NT = np.nan_to_num(validation.labels_PT[validation.photographs.patient_index])

    skills = validation_skills(_sure_outputs(labels_NT, data), validation, data.scaler, data.tasks)

    assert skills == pytest.approx(dict.fromkeys(GRADED_TASKS.names, 1.0), abs=1e-5)


def test_the_worst_photograph_decides_where_the_task_says_so() -> None:
    data = graded_data(2)
    validation = _validation(data)
    labels_NT = validation.photographs.labels_NT
    known_P1 = np.isfinite(labels_NT[:, 4].reshape(-1, 2)).all(axis=1, keepdims=True)
    labels_PT = np.where(known_P1, validation.labels_PT, np.nan)
    told = ValidationSet(validation.photographs, labels_PT)

    skills = validation_skills(_sure_outputs(np.nan_to_num(labels_NT), data), told, data.scaler, data.tasks)

    assert skills["worst"] == pytest.approx(1.0)
    assert skills["grade"] < 1.0  # means of logits of eyes that differ


def test_levels_of_another_patient_are_levels() -> None:
    data = graded_data(3)

    shuffled_NT = labels_at_hand("shuffled", _validation(data).photographs, data.scaler, data.tasks)

    assert shuffled_NT is not None
    levels = shuffled_NT[:, [0, 2, 4]]
    assert set(levels[np.isfinite(levels)]) <= {0.0, 1.0, 2.0, 3.0}


def _sure_outputs(labels_NT: np.ndarray, data: TrainingData) -> np.ndarray:
    """Logits of ± 20 for these levels, scaled values for the others."""
    scaled_NT = data.scaler.scale(labels_NT)
    columns = []
    for place, task in enumerate(data.tasks):
        level_N1, places_K = labels_NT[:, place, None], np.arange(task.num_outputs)
        sure = level_N1 > places_K if task.kind == "ordinal" else level_N1 == places_K
        columns.append(np.where(sure, 20.0, -20.0) if task.is_graded else scaled_NT[:, place, None])
    return np.concatenate(columns, axis=1).astype(np.float32)
