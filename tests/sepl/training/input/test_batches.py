from pathlib import Path

import numpy as np
import pytest
import torch
from builders import build_cohort
from hypothesis import given
from hypothesis import strategies as st

from sepl.data.cohort.cohort import read_cohort
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.patients.splits import assign_cohort_splits
from sepl.data.preparation.prepare import prepare
from sepl.errors import ConfigError, DatasetError
from sepl.training.input.batches import Batch, TrainingData, TrainSet, with_known
from sepl.training.input.pixels import MappedPixels


def _train_set(num_photographs: int) -> TrainSet:
    """Each photograph's only pixel and label are its number."""
    numbers_N = np.arange(num_photographs)
    pixels = MappedPixels([(numbers_N % 256).astype(np.uint8)[:, None, None, None]], torch.device("cpu"))
    targets_NT = torch.from_numpy(numbers_N.astype(np.float32))[:, None]
    return TrainSet(pixels, targets_NT, torch.ones_like(targets_NT), torch.arange(len(targets_NT)))


@given(st.integers(2, 300), st.integers(2, 64), st.integers(0, 5))
def test_an_epoch_shows_each_photograph_once_in_batches_of_one_size(
    num_photographs: int, batch_size: int, seed: int
) -> None:
    train_set = _train_set(num_photographs)

    batches = list(train_set.epoch(batch_size, torch.Generator().manual_seed(seed)))

    sizes = {len(batch.pixels_BHWC) for batch in batches}
    shown = torch.cat([batch.targets_BT[:, 0] for batch in batches])
    assert len(batches) == train_set.steps_per_epoch(batch_size)
    assert len(sizes) == 1
    assert 2 <= sizes.pop() <= batch_size
    assert len(shown.unique()) == len(shown)
    assert num_photographs - len(shown) < max(len(batches), 2)
    for batch in batches:
        assert torch.equal(batch.pixels_BHWC.flatten(), (batch.targets_BT.flatten() % 256).to(torch.uint8))


def test_the_next_epoch_has_another_order() -> None:
    train_set, generator = _train_set(64), torch.Generator().manual_seed(0)

    first, second = (torch.cat([batch.targets_BT for batch in train_set.epoch(8, generator)]) for _ in range(2))

    assert not torch.equal(first, second)
    assert torch.equal(first.sort(dim=0).values, second.sort(dim=0).values)


def test_targets_are_scaled_labels_and_absent_ones_are_marked(dataset: PreparedDataset, data: TrainingData) -> None:
    labels_NT = dataset.photographs("train").labels_NT

    targets_NT, present_NT = data.train.targets_NT.numpy(), data.train.present_NT.numpy()

    absent_NT = np.isnan(labels_NT)
    assert absent_NT.any()
    np.testing.assert_array_equal(present_NT, ~absent_NT)
    assert (targets_NT[absent_NT] == 0).all()
    np.testing.assert_allclose(targets_NT[~absent_NT], dataset.scaler.scale(labels_NT)[~absent_NT], rtol=1e-6)


@given(share=st.floats(0.01, 1.0), seed=st.integers(0, 99))
def test_labels_are_told_with_the_share_that_was_asked_for_and_only_where_they_are(share: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    targets_BT = torch.randn(500, 6, generator=generator)
    present_BT = (torch.rand(500, 6, generator=generator) < 0.7).float()
    batch = Batch(torch.empty(500), targets_BT * present_BT, present_BT)

    told_BT = with_known(batch, share, generator).labels_BT

    assert told_BT is not None
    is_told_BT = told_BT.isfinite()
    assert torch.equal(told_BT[is_told_BT], batch.targets_BT[is_told_BT])
    assert not (is_told_BT & (present_BT == 0)).any()
    found = float(is_told_BT.sum() / present_BT.sum())
    assert abs(found - share) < 4.5 * (share * (1 - share) / float(present_BT.sum())) ** 0.5 + 1e-6


def test_a_share_of_nothing_draws_nothing_and_leaves_the_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    batch = Batch(torch.empty(3), torch.zeros(3, 2), torch.ones(3, 2))

    assert with_known(batch, 0.0, generator) is batch
    assert torch.equal(generator.get_state(), before)


def test_validation_labels_are_per_patient(dataset: PreparedDataset, data: TrainingData) -> None:
    photographs = dataset.photographs("validation")

    assert data.validation is not None
    assert data.validation.labels_PT.shape == (photographs.num_patients, len(dataset.tasks))
    assert photographs.num_photographs == 2 * photographs.num_patients


def test_splits_can_be_joined_and_validation_left_out(dataset: PreparedDataset) -> None:
    joined = TrainingData.load(dataset, ("train", "validation"), None, "cpu")

    counts = dataset.manifest.num_photographs
    assert joined.validation is None
    assert joined.train.pixels.num_photographs == counts["train"] + counts["validation"]


def test_one_photograph_is_too_little_to_train_on(tmp_path: Path) -> None:
    cohort_file = build_cohort(tmp_path, num_patients=4)
    patients = sorted({path.stem.partition("_")[0] for path in (tmp_path / "images").iterdir()})
    (train_patient,) = (name for name in patients if assign_cohort_splits([name], seed=0)[0] == "train")
    (tmp_path / "images" / f"{train_patient}_left.png").unlink()
    prepare(read_cohort(cohort_file), tmp_path / "dataset", 32, num_workers=1)

    with pytest.raises(DatasetError, match="two photographs or more in train, had 1"):
        TrainingData.load(PreparedDataset.open(tmp_path / "dataset"), device="cpu")


def test_an_unknown_cohort_split_and_an_unknown_device_are_refused(dataset: PreparedDataset) -> None:
    with pytest.raises(DatasetError, match="cohort_split should be one of"):
        TrainingData.load(dataset, ("training",), device="cpu")
    with pytest.raises(ConfigError, match="device should be"):
        TrainingData.load(dataset, device="tpu")
