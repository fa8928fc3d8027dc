"""Whose each photograph is, and orders in which a patient's photographs meet.

A patient's photographs are read one after the other, wherever the input has them, and rows are given back in the
input's order. So the pixels and features of few patients are in memory at a time. A photograph without a key is a
patient of its own.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from sepl.errors import ConfigError


class OfPatient(Protocol):
    @property
    def patient(self) -> str: ...


Row = TypeVar("Row")
PatientRow = TypeVar("PatientRow", bound=OfPatient)


@dataclass(frozen=True)
class Piece(Generic[Row]):
    """What passes through the network at once: whole patients, or a part of one who has too many photographs."""

    patients: list[Sequence[Row]]
    goes_on: bool = False
    """The next piece has more of this piece's only patient."""


def patient_keys(names: Sequence[str | None], num_photographs: int) -> list[str]:
    """A key a photograph, without the spaces around it, empty for who is alone; no names at all: everybody is.

    Raises ConfigError when there are not as many as photographs.
    """
    if not names:
        return [""] * num_photographs
    if len(names) != num_photographs:
        raise ConfigError(f"patients should be one a photograph, {num_photographs}, were {len(names)}")
    return [(name or "").strip() for name in names]


def order_by_patient(keys: Sequence[str]) -> NDArray[np.int64]:
    """(N,) the places of the photographs, each patient's one after the other, by the patients' first photographs."""
    numbers: dict[str, int] = {}
    return order_by_number(np.array([numbers.setdefault(key, len(numbers)) if key else -1 for key in keys], np.int64))


def order_by_number(patient_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """As `order_by_patient`, of patients 0 … P−1; −1 is a patient of one."""
    places = np.arange(len(patient_N))
    first_P = np.full(int(patient_N.max(initial=-1)) + 1, len(patient_N))
    has_key = patient_N >= 0
    np.minimum.at(first_P, patient_N[has_key], places[has_key])
    first_N = places.copy()
    first_N[has_key] = first_P[patient_N[has_key]]
    return np.argsort(first_N, kind="stable")


def group_patients(rows: Iterable[PatientRow]) -> Iterator[list[PatientRow]]:
    """The rows of each patient, who should stand one after the other; ConfigError when a patient comes again."""
    known: set[str] = set()
    gathered: list[PatientRow] = []
    for row in rows:
        if gathered and not (row.patient and row.patient == gathered[0].patient):
            yield gathered
            gathered = []
        if row.patient and not gathered:
            if row.patient in known:
                raise ConfigError("a patient's photographs should come one after the other, those of one came again")
            known.add(row.patient)
        gathered.append(row)
    if gathered:
        yield gathered


def in_pieces(patients: Iterable[Sequence[Row]], size: int) -> Iterator[Piece[Row]]:
    """Pieces of at most `size` rows; only a patient who has more is in several."""
    gathered: list[Sequence[Row]] = []
    room = size
    for rows in patients:
        if gathered and len(rows) > room:
            yield Piece(gathered)
            gathered, room = [], size
        if len(rows) > size:
            for start in range(0, len(rows), size):
                yield Piece([rows[start : start + size]], goes_on=start + size < len(rows))
        else:
            gathered.append(rows)
            room -= len(rows)
    if gathered:
        yield Piece(gathered)


def restore_order(batches: Iterable[Sequence[Row]], order: NDArray[np.int64], size: int) -> Iterator[list[Row]]:
    """The rows by their places, `order` in turn, at most `size` at a time; rows wait for those before them."""
    waiting: dict[int, Row] = {}
    num_taken = num_given = 0
    for batch in batches:
        waiting.update(zip(order[num_taken : num_taken + len(batch)].tolist(), batch, strict=True))
        num_taken += len(batch)
        ready: list[Row] = []
        while num_given in waiting:
            ready.append(waiting.pop(num_given))
            num_given += 1
            if len(ready) == size:
                yield ready
                ready = []
        if ready:
            yield ready
