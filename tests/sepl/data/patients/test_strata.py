import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sepl.data.patients.strata import take_share


@given(share=st.floats(0, 1), num=st.integers(1, 120), num_strata=st.integers(1, 12), seed=st.integers(0, 999))
def test_each_stratum_and_all_together_give_their_share(share: float, num: int, num_strata: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    strata, sizes = rng.integers(0, num_strata, num), np.ones(num, np.int64)

    taken = take_share(share, strata, sizes, rng.permutation(num) / num, np.zeros(num, bool))

    assert abs(taken.sum() - share * num) <= 1
    for stratum in np.unique(strata):
        members = strata == stratum
        assert abs(taken[members].sum() - share * members.sum()) <= 2


@given(share=st.floats(0, 1), seed=st.integers(0, 999))
def test_what_is_held_is_taken_whatever_the_share(share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    held = rng.random(40) < 0.4

    taken = take_share(share, rng.integers(0, 4, 40), rng.integers(1, 4, 40), rng.permutation(40) / 40, held)

    assert taken[held].all()


def test_a_hundred_strata_of_two_give_their_share_together() -> None:
    positions = np.random.default_rng(0).permutation(200) / 200

    taken = take_share(0.2, np.repeat(np.arange(100), 2), np.ones(200, np.int64), positions, np.zeros(200, bool))

    assert taken.sum() == 40


@given(st.integers(0, 999))
def test_a_larger_share_of_one_stratum_takes_the_same_and_more(seed: int) -> None:
    rng = np.random.default_rng(seed)
    positions, sizes = rng.permutation(50) / 50, rng.integers(1, 4, 50)
    few, many = (take_share(share, np.zeros(50, int), sizes, positions, np.zeros(50, bool)) for share in (0.3, 0.6))

    assert (many | ~few).all()


def test_of_nobody_nobody_is_taken() -> None:
    none = np.zeros(0, np.int64)

    assert take_share(0.5, none, none, np.zeros(0), np.zeros(0, bool)).tolist() == []
