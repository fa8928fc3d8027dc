"""A hospital's cohort with planted defects: each gets its verdict, and all other photographs are kept as they are."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from planted_defects import DEFECTS, NUM_PATIENTS, Defect, places, row_number, write_planted_cohort

from sepl.data.cohort.cohort import read_cohort
from sepl.data.preparation.prepare import prepare

pytestmark = pytest.mark.slow


class Prepared:
    """The tables of a prepared cohort, and the patients that it was made of."""

    def __init__(self, folder, patients) -> None:
        self.patients = patients
        self.labels = pq.read_table(folder / "labels.parquet").to_pandas()
        self.rejected = pd.read_csv(folder / "rejected.csv", keep_default_na=False)
        self.findings = pd.read_csv(folder / "findings.csv", keep_default_na=False)

    def photographs(self, patient, eye):
        """The prepared photographs of one file."""
        file = f"{patient.folder}/{eye}.dcm"
        return self.labels[self.labels["image"].str.partition("#")[0] == file]

    def of_row(self, table, patient, row):
        return table[table["row"] == row_number(self.patients, patient, row)]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    source, patients = write_planted_cohort(tmp_path_factory.mktemp("planted"))
    out = tmp_path_factory.mktemp("out") / "dataset"
    prepare(read_cohort(source), out, 64, keep_patient_ids=True)
    return Prepared(out, patients)


@pytest.mark.parametrize(
    ("defect", "place"),
    [pytest.param(defect, place, id=defect.name) for defect, place in zip(DEFECTS, places(), strict=True)],
)
def test_a_defect_gets_its_verdict(prepared: Prepared, defect: Defect, place: int) -> None:
    verdict, patient = defect.verdict, prepared.patients[place]
    kept = prepared.photographs(patient, verdict.row)
    if verdict.rejected:
        (reason,) = prepared.of_row(prepared.rejected, patient, verdict.row)["reason"]
        assert reason.startswith(verdict.rejected)
        assert kept.empty
    if verdict.finding:
        found = prepared.of_row(prepared.findings, patient, verdict.row + verdict.finding_row)
        assert (verdict.finding, verdict.column) in set(zip(found["kind"], found["column"], strict=True))
    if verdict.finding == "row left out" and not verdict.finding_row:
        assert kept.empty
    elif not verdict.rejected:
        assert len(kept) == verdict.num_kept
    for task, value in verdict.labels.items():
        np.testing.assert_array_equal(kept[task], value)
    if verdict.same_side_as_next:
        both = [patient.subid, prepared.patients[place + 1].subid]
        assert prepared.labels.loc[prepared.labels["patient"].isin(both), "cohort_split"].nunique() == 1


def test_the_other_photographs_are_kept_and_nothing_is_said_of_them(prepared: Prepared) -> None:
    touched = sum(defect.num_patients for defect in DEFECTS)
    sound = prepared.patients[touched:]
    rows = {row_number(prepared.patients, patient, row) for patient in sound for row in (0, 1)}

    kept = prepared.labels[prepared.labels["patient"].isin([patient.subid for patient in sound])]
    assert len(DEFECTS) >= 25
    assert len(sound) == NUM_PATIENTS - touched
    assert len(kept) == 2 * len(sound)
    assert set(kept["eye"]) == {"left", "right"}
    assert not rows & set(prepared.rejected["row"])
    assert not rows & set(prepared.findings["row"])


def test_a_patient_stands_in_one_cohort_split(prepared: Prepared) -> None:
    assert (prepared.labels.groupby("patient")["cohort_split"].nunique() == 1).all()
