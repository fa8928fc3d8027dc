import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.data.splits import COHORT_FRACTIONS, COHORT_SPLITS, cohort_splits

patients = st.lists(st.text(min_size=1), min_size=1, max_size=50)
seeds = st.integers(0, 2**31)


@given(patients, seeds)
def test_a_patient_never_straddles(ids, seed):
    splits = cohort_splits([*ids, *reversed(ids)], seed)

    assert list(splits[: len(ids)]) == list(splits[len(ids) :][::-1])


@given(patients, patients, seeds)
def test_added_patients_move_nobody(ids, added, seed):
    assert list(cohort_splits(ids, seed)) == list(cohort_splits([*added, *ids], seed)[len(added) :])


@given(patients, seeds)
def test_every_patient_is_in_a_known_split(ids, seed):
    assert set(cohort_splits(ids, seed)) <= set(COHORT_SPLITS)


@pytest.mark.parametrize("seed", range(3))
def test_the_shares_are_those_promised(seed):
    splits = cohort_splits([str(number) for number in range(20_000)], seed)

    assert sum(COHORT_FRACTIONS.values()) == pytest.approx(1)
    for name, share in COHORT_FRACTIONS.items():
        assert (splits == name).mean() == pytest.approx(share, abs=0.015)


def test_another_seed_deals_anew():
    ids = [str(number) for number in range(1000)]

    assert 0.4 < (cohort_splits(ids, 0) == cohort_splits(ids, 1)).mean() < 0.6  # .65² + .10² + .05² + .20² = .475


def test_the_deal_is_the_same_in_every_version():
    assert list(cohort_splits(["1", "2", "P-0007", "müller"], 0)) == ["test", "test", "train", "train"]


def test_no_patients_give_no_splits():
    assert len(cohort_splits([], 0)) == 0
    assert cohort_splits([], 0).dtype.kind == np.dtype(str).kind
