"""Patients dealt out anew: nobody in two folds, nobody who is sealed, and the photographs that belong to them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from builders import build_dataset
from hypothesis import given
from hypothesis import strategies as st

from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import DatasetError
from sepl.training.input.folds import Fold, load_fold


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return build_dataset(tmp_path_factory.mktemp("data"), num_patients=20)


@given(num_patients=st.integers(2, 60), num_folds=st.integers(2, 9), seed=st.integers(0, 99))
def test_every_patient_judges_in_one_fold_and_folds_are_of_one_size(
    num_patients: int, num_folds: int, seed: int
) -> None:
    judges_KP = np.array([Fold(number, num_folds, seed).judges(num_patients) for number in range(num_folds)])

    assert (judges_KP.sum(axis=0) == 1).all()
    assert np.ptp(judges_KP.sum(axis=1)) <= 1


def test_another_seed_deals_them_out_otherwise() -> None:
    assert (Fold(0, 5, seed=0).judges(50) != Fold(0, 5, seed=1).judges(50)).any()


@pytest.mark.parametrize("number", [0, 3])
def test_a_fold_holds_the_photographs_of_its_patients_and_of_nobody_sealed(
    dataset: PreparedDataset, number: int
) -> None:
    data = load_fold(dataset, Fold(number, 4, seed=0), device="cpu")
    assert data.validation is not None
    everybody, judges = dataset.photographs("train", "validation"), data.validation.photographs
    pixels = np.concatenate(everybody.shards)
    places = [list(everybody.images).index(image) for image in judges.images]
    rest = np.setdiff1d(np.arange(everybody.num_photographs), places)

    (batch,) = data.train.pixels.batches(order_of(len(rest)))

    assert set(judges.patients) < set(everybody.patients)
    assert not set(judges.patients) & set(everybody.patients[rest])
    np.testing.assert_array_equal(judges.shards[0][:], pixels[places])
    np.testing.assert_array_equal(batch.numpy(), pixels[rest])
    np.testing.assert_array_equal(data.validation.labels_PT, judges.labels_per_patient(dataset.tasks))
    assert data.train.pixels.num_photographs + judges.num_photographs == everybody.num_photographs
    assert int(data.train.patient_N.max()) + 1 == len(set(everybody.patients[rest]))


def order_of(num_rows: int) -> torch.Tensor:
    return torch.arange(num_rows).view(1, num_rows)


def test_a_dataset_too_small_to_be_dealt_out_is_refused(tmp_path: Path) -> None:
    few = build_dataset(tmp_path, num_patients=4)

    with pytest.raises(DatasetError, match="a fold should have two photographs or more to train on"):
        load_fold(few, Fold(8, 9, seed=0), device="cpu")
