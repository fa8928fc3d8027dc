import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sepl.data.patients.index import index_patients, mean_per_patient


@given(st.lists(st.sampled_from("abcdef"), max_size=40))
def test_patients_are_numbered_by_first_appearance(patients):
    index = index_patients(patients)

    assert [list(dict.fromkeys(patients)).index(patient) for patient in patients] == index.tolist()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.floats(-100, 100))), min_size=1, max_size=30))
def test_a_patients_value_is_the_mean_of_those_present(rows):
    values_NT = np.array([[np.nan if value is None else value] for _, value in rows])

    means_PT = mean_per_patient(values_NT, index_patients([patient for patient, _ in rows]))

    for index, patient in enumerate(dict.fromkeys(patient for patient, _ in rows)):
        present = [value for owner, value in rows if owner == patient and value is not None]
        np.testing.assert_allclose(means_PT[index, 0], np.mean(present) if present else np.nan, atol=1e-9)


def test_no_photographs_are_no_patients():
    assert mean_per_patient(np.zeros((0, 3)), index_patients([])).shape == (0, 3)
