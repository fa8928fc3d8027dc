"""Orders in which a patient's photographs meet, and back."""

from itertools import chain, groupby, zip_longest
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.errors import ConfigError
from sepl.scoring.patients import group_patients, in_pieces, order_by_patient, patient_keys, restore_order


class Row(NamedTuple):
    place: int
    patient: str


keys = st.lists(st.sampled_from(["", "a", "b", "c", "d"]), max_size=30)


@given(keys)
def test_each_patient_is_read_at_once_and_in_the_inputs_order(keys: list[str]) -> None:
    order = order_by_patient(keys).tolist()

    patients = list(group_patients(Row(place, keys[place]) for place in order))

    assert sorted(order) == list(range(len(keys)))
    assert len(patients) == keys.count("") + len(set(keys) - {""})
    assert [rows[0].place for rows in patients] == sorted(rows[0].place for rows in patients)
    for rows in patients:
        assert len({row.patient for row in rows}) == 1
        assert [row.place for row in rows] == sorted(row.place for row in rows)
        assert rows[0].patient or len(rows) == 1


@given(keys, st.integers(1, 7))
def test_rows_read_by_patient_come_back_in_the_inputs_order(keys: list[str], size: int) -> None:
    order = order_by_patient(keys)
    batches = [order[start : start + 4].tolist() for start in range(0, len(order), 4)]

    given_back = list(restore_order(batches, order, size))

    assert list(chain.from_iterable(given_back)) == list(range(len(keys)))
    assert all(1 <= len(rows) <= size for rows in given_back)


@given(st.lists(st.integers(1, 12), max_size=12), st.integers(1, 5))
def test_pieces_hold_whole_patients_unless_one_alone_is_too_many(sizes: list[int], size: int) -> None:
    patients = [[number] * count for number, count in enumerate(sizes)]

    pieces = list(in_pieces(patients, size))

    assert all(sum(map(len, piece.patients)) <= size for piece in pieces)
    rows = chain.from_iterable(chain.from_iterable(piece.patients) for piece in pieces)
    assert [list(group) for _, group in groupby(rows)] == patients
    for piece, following in zip_longest(pieces, pieces[1:]):
        if piece.goes_on:
            assert following is not None
            assert piece.patients[0][0] == following.patients[0][0]
            assert len(piece.patients) == len(following.patients) == 1
        elif following is not None:
            assert piece.patients[-1][0] != following.patients[0][0]


def test_a_patient_who_comes_again_is_an_error_rather_than_two_patients() -> None:
    with pytest.raises(ConfigError, match="one after the other"):
        list(group_patients([Row(0, "a"), Row(1, "b"), Row(2, "a")]))


def test_as_many_patients_as_photographs_or_none_at_all() -> None:
    assert patient_keys([], 2) == ["", ""]
    assert patient_keys([" a ", None], 2) == ["a", ""]
    with pytest.raises(ConfigError, match="patients should be one a photograph, 2, were 3"):
        patient_keys(["a", "b", "c"], 2)
