"""Patients as the rows of a batch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from planted_data import graded_data

from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import ConfigError
from sepl.models.build import build_network
from sepl.models.predict import predict_outputs
from sepl.tasks import BUILT_IN_TASKS, TaskTable
from sepl.training.input.batches import TrainingData, TrainSet
from sepl.training.input.patient_sets import PatientTrainSet
from sepl.training.input.pixels import MappedPixels
from sepl.training.supervised.run import TrainingRun, train
from sepl.training.supervised.validation import labels_at_hand

FUSION = {"fusion": "attention"}
TASKS = TaskTable.of([BUILT_IN_TASKS["age"]])


def train_set(photographs_of: list[int]) -> TrainSet:
    """Patients with so many photographs each, mixed; pixels tell the photograph's row, labels the patient."""
    patients = np.random.default_rng(0).permutation(np.repeat(np.arange(len(photographs_of)), photographs_of))
    pixels_NHWC = np.arange(len(patients), dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    targets_NT = torch.from_numpy(patients[:, None].astype(np.float32))
    device = torch.device("cpu")
    pixels = MappedPixels([pixels_NHWC], device)
    return TrainSet(pixels, targets_NT, torch.ones_like(targets_NT), torch.from_numpy(patients))


@given(st.lists(st.integers(1, 5), min_size=2, max_size=12), st.integers(1, 4), st.integers(2, 20))
def test_an_epoch_shows_patients_once_with_photographs_of_their_own(
    photographs_of: list[int], size: int, batch_size: int
) -> None:
    photographs = train_set(photographs_of)
    patients = PatientTrainSet.of(photographs, size, TASKS)

    batches = list(patients.epoch(batch_size, torch.Generator().manual_seed(1)))

    assert len(batches) == patients.steps_per_epoch(batch_size)
    assert len({len(batch.targets_BT) for batch in batches}) == 1
    shown = torch.cat([batch.targets_BT[:, 0] for batch in batches]).long()
    assert len(shown.unique()) == len(shown)
    assert len(photographs_of) - len(shown) < len(batches)
    rows = torch.cat([batch.pixels_BHWC[:, 0, 0, 0].view(-1, size) for batch in batches]).long()
    assert torch.equal(photographs.patient_N[rows], shown[:, None].expand(-1, size))
    for row, patient in zip(rows, shown, strict=True):
        assert len(row.unique()) == min(size, photographs_of[int(patient)])


def test_a_skipped_step_changes_none_of_those_that_follow() -> None:
    patients = PatientTrainSet.of(train_set([2] * 12), 2, TASKS)

    whole = list(patients.epoch(8, torch.Generator().manual_seed(1)))
    rest = list(patients.epoch(8, torch.Generator().manual_seed(1), num_skipped=1))

    assert [batch.pixels_BHWC.tolist() for batch in rest] == [batch.pixels_BHWC.tolist() for batch in whole[1:]]


def test_labels_are_the_mean_over_photographs_that_have_them() -> None:
    photographs = train_set([2, 2])
    photographs.targets_NT[photographs.patient_N == 1] = torch.tensor([[3.0], [5.0]])
    photographs.present_NT[photographs.patient_N == 0] = torch.tensor([[0.0], [1.0]])
    photographs.targets_NT[photographs.patient_N == 0] = torch.tensor([[0.0], [7.0]])

    patients = PatientTrainSet.of(photographs, 2, TASKS)

    assert patients.targets_PT.tolist() == [[7.0], [4.0]]
    assert patients.present_PT.tolist() == [[1.0], [1.0]]


def test_labels_of_graded_tasks_stay_levels() -> None:
    data = graded_data(0)

    patients = PatientTrainSet.of(data.train, 2, data.tasks)

    grades_NP = torch.where(data.train.present_NT > 0, data.train.targets_NT, torch.nan)[:, 4].view(-1, 2)
    worst_P = grades_NP.nan_to_num(-1.0).max(dim=1).values
    assert patients.targets_PT[:, 4].tolist() == worst_P.clamp(min=0).tolist()
    assert patients.present_PT[:, 4].tolist() == (worst_P >= 0).float().tolist()
    assert (patients.targets_PT[:, [0, 2]] % 1 == 0).all()


@pytest.mark.parametrize("family", ["sepl", "single_task", "mtan"])
@pytest.mark.parametrize("fusion", ["mean", "attention"])
def test_patients_are_learnt(family: str, fusion: str, config: TrialConfig, data: TrainingData) -> None:
    width = {"num_experts": 2, "hidden_width": 16} if family == "sepl" else {"num_experts": 4, "hidden_width": 512}
    run = TrainingRun(config.with_params(family=family, fusion=fusion, num_epochs=3, **width), data)

    results = list(train(run))

    assert results[-1].train_loss < results[0].train_loss
    assert np.isfinite(results[-1].best_skill)


def test_a_patient_is_judged_by_all_photographs_at_validation(config: TrialConfig, data: TrainingData) -> None:
    network = build_network(config.with_params(fusion="mean").model, data.tasks, data.image_spec.size)
    assert data.validation is not None
    photographs = data.validation.photographs

    outputs_NT = predict_outputs(network, photographs.shards, device=data.device, patients=photographs.patient_index)

    alone_NT = predict_outputs(network, photographs.shards, device=data.device)
    pixels_NHWC = np.concatenate(photographs.shards)
    for patient in range(photographs.num_patients):
        of_patient = photographs.patient_index == patient
        nobody_else = np.zeros(of_patient.sum(), np.int64)
        expected_NT = predict_outputs(network, [pixels_NHWC[of_patient]], device=data.device, patients=nobody_else)
        np.testing.assert_allclose(outputs_NT[of_patient], expected_NT, atol=1e-5, rtol=1e-4)
    assert not np.allclose(outputs_NT, alone_NT)


def test_a_run_of_patients_in_parts_comes_to_the_same(config: TrialConfig, data: TrainingData) -> None:
    config = config.with_params(backbone="test_convnext", augment_strength=0.0, num_epochs=1, **FUSION)
    whole, parts = TrainingRun(config, data), TrainingRun(config.with_params(micro_batch_size=3), data)

    whole.run_epoch()
    parts.run_epoch()

    torch.testing.assert_close(whole.best_state(), parts.best_state(), atol=1e-4, rtol=1e-3)


def test_a_batch_hands_on_its_own_labels_or_its_neighbours() -> None:
    photographs = train_set([1] * 8)
    photographs.present_NT[3] = 0

    for rows in (photographs, PatientTrainSet.of(photographs, 1, TASKS)):
        for how, moved in (("oracle", 0), ("shuffled", 1)):
            [batch] = rows.epoch(8, torch.Generator().manual_seed(1), handed_on=how)

            assert batch.labels_BT is not None
            expected_BT = batch.targets_BT.masked_fill(batch.present_BT == 0, torch.nan).roll(moved, dims=0)
            torch.testing.assert_close(batch.labels_BT, expected_BT, equal_nan=True, atol=0, rtol=0)
            assert batch.labels_BT.isnan().sum() == 1


@pytest.mark.parametrize("fusion", ["none", "mean"])
@pytest.mark.parametrize("propagation", ["oracle", "shuffled"])
def test_true_priors_are_handed_on_in_training_and_validation(
    propagation: str, fusion: str, config: TrialConfig, data: TrainingData
) -> None:
    run = TrainingRun(config.with_params(propagation=propagation, fusion=fusion, num_epochs=2), data)

    results = list(train(run))

    assert np.isfinite(results[-1].best_skill)
    with pytest.raises(ConfigError, match="propagation should be predicted, detached or none in what is published"):
        config.with_params(propagation=propagation).model.check_publishable()


def test_shuffled_priors_are_somebody_elses(dataset: PreparedDataset) -> None:
    photographs = dataset.photographs("validation")
    scaled_NT = dataset.scaler.scale(photographs.labels_NT)

    oracle_NT = labels_at_hand("oracle", photographs, dataset.scaler, dataset.tasks)
    shuffled_NT = labels_at_hand("shuffled", photographs, dataset.scaler, dataset.tasks)

    assert labels_at_hand("predicted", photographs, dataset.scaler, dataset.tasks) is None
    assert oracle_NT is not None
    assert shuffled_NT is not None
    np.testing.assert_array_equal(oracle_NT, scaled_NT)
    age = dataset.tasks.index("age")
    assert (np.abs(shuffled_NT[:, age] - scaled_NT[:, age]) > 1e-6).mean() > 0.8
    assert sorted({round(value, 6) for value in shuffled_NT[:, age]}) == sorted(
        {round(value, 6) for value in scaled_NT[:, age]}
    )
