from datetime import date, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sepl.data.patients.visit_days import days_since_first_visit

DAYS = st.integers(0, 20_000)


@given(st.lists(st.tuples(st.sampled_from("abc"), DAYS), min_size=1), st.integers(-1000, 1000))
def test_days_count_from_the_patients_first_visit_whenever_that_was(rows: list[tuple[str, int]], shift: int) -> None:
    patients = [patient for patient, _ in rows]

    def days(offset: int) -> list[float]:
        start = date(1980, 1, 1)
        return days_since_first_visit(
            [(start + timedelta(day + offset)).isoformat() for _, day in rows], patients
        ).tolist()

    first = {patient: min(day for other, day in rows if other == patient) for patient in patients}
    assert days(0) == [day - first[patient] for patient, day in rows]
    assert days(shift) == days(0)  # the dates themselves are lost


def test_a_visit_without_a_date_has_no_day_and_moves_no_other() -> None:
    visits = ["2020-01-05", "baseline", "", "2020-01-01", "2020-02-30", "V1"]

    days = days_since_first_visit(visits, ["a", "a", "a", "a", "a", "b"])

    np.testing.assert_array_equal(days, [4, np.nan, np.nan, 0, np.nan, np.nan])


def test_no_photograph_has_no_day() -> None:
    assert days_since_first_visit([], []).shape == (0,)
