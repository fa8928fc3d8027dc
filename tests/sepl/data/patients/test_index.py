import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sepl.data.patients.index import index_patients, labels_per_patient, mean_per_patient
from sepl.tasks import Task


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


LEVELS = ("a", "b", "c", "d")
MEAN = Task(name="mean", kind="ordinal", unit="level", label="Mean", levels=LEVELS)
WORST = Task(name="worst", kind="ordinal", unit="level", label="Worst", levels=LEVELS, patient="worst")
CLASS = Task(name="kind", kind="categorical", unit="level", label="Class", levels=LEVELS)
AGE = Task(name="age", kind="regression", unit="y", label="Age")


@given(
    arrays(np.float64, (20, 4), elements=st.sampled_from([0.0, 1.0, 2.0, 3.0, np.nan])),
    arrays(np.int64, 20, elements=st.integers(0, 5)),
)
def test_a_patients_level_is_the_mean_grade_the_worst_or_the_commonest_class(labels_NT, patients):
    index = index_patients([str(patient) for patient in patients])

    labels_PT = labels_per_patient(labels_NT, index, [MEAN, WORST, CLASS, AGE])

    np.testing.assert_array_equal(labels_PT[:, 3], mean_per_patient(labels_NT, index)[:, 3])
    for patient, found in enumerate(labels_PT):
        mean, worst, kind = (column[np.isfinite(column)] for column in labels_NT[index == patient, :3].T)
        np.testing.assert_equal(found[0], np.floor(mean.mean() + 0.5) if len(mean) else np.nan)
        np.testing.assert_equal(found[1], worst.max() if len(worst) else np.nan)
        np.testing.assert_equal(found[2], np.bincount(kind.astype(int)).argmax() if len(kind) else np.nan)


def test_eyes_of_no_photographs_have_no_levels():
    assert labels_per_patient(np.zeros((0, 2)), index_patients([]), [MEAN, CLASS]).shape == (0, 2)
