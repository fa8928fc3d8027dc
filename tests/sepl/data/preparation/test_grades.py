"""A cohort with grades and classes, from its table to a dataset and its report."""

import csv

import numpy as np
import pytest
from graded_cohort import CLASSES, GRADES, build_graded_cohort

from sepl.data.cohort.cohort import read_cohort
from sepl.data.dataset.dataset import PreparedDataset, read_manifest
from sepl.data.preparation.prepare import prepare
from sepl.data.preparation.summary import describe_prepared
from sepl.storage import resolve


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graded")
    cohort_file = build_graded_cohort(folder / "cohort", num_patients=30)
    summary = prepare(read_cohort(cohort_file), folder / "dataset", 32, num_workers=1, keep_patient_ids=True)
    with (folder / "cohort" / "labels.csv").open(encoding="utf-8", newline="") as stream:
        rows = {row["image"]: row for row in csv.DictReader(stream)}
    return rows, summary, PreparedDataset.open(folder / "dataset")


def test_the_dataset_knows_the_levels_and_how_a_patient_gets_one(prepared):
    _, _, dataset = prepared

    assert read_manifest(resolve(dataset.folder)).tasks == dataset.tasks
    assert (dataset.tasks["retinopathy"].levels, dataset.tasks["retinopathy"].patient) == (GRADES, "worst")
    assert (dataset.tasks["finding"].kind, dataset.tasks["finding"].levels) == ("categorical", CLASSES)


def test_a_label_is_the_place_of_its_cells_level_and_an_absent_one_stays_absent(prepared):
    rows, _, dataset = prepared

    photographs = dataset.photographs("train", "validation", "calibration", "test")

    assert photographs.num_photographs == len(rows) == 60
    for image, labels in zip(photographs.images, photographs.labels_NT, strict=True):
        grade, finding = rows[image]["grade"], rows[image]["finding"]
        np.testing.assert_equal(labels[1], np.nan if grade == "ungradable" else float(grade[1:]))
        np.testing.assert_equal(labels[2], CLASSES.index(finding.lower()) if finding else np.nan)
    assert np.isnan(photographs.labels_NT[:, 1:]).any(axis=0).all()


def test_a_patient_has_the_worse_eyes_grade(prepared):
    _, _, dataset = prepared
    photographs = dataset.photographs("train")

    labels_PT = photographs.labels_per_patient(dataset.tasks)

    for patient, labels in enumerate(labels_PT):
        grades = photographs.labels_NT[photographs.patient_index == patient, 1]
        np.testing.assert_equal(labels[1], np.nan if np.isnan(grades).all() else np.nanmax(grades))


def test_what_a_person_reads_has_the_share_of_each_level(prepared):
    _, summary, dataset = prepared

    report = (dataset.folder / "prepare_report.html").read_text(encoding="utf-8")
    shares = summary.levels["retinopathy"]
    assert sum(shares.values()) == pytest.approx(1.0)
    assert GRADES[int(summary.typical["retinopathy"])] == max(shares, key=lambda level: shares[level])
    assert f"{shares['severe']:.1%} severe" in describe_prepared(summary)
    assert "Retinopathy: moderate" in report
    assert "0 of them binary, 2 graded" in report


def test_the_same_cohort_again_changes_nothing_and_another_order_of_levels_does(prepared, tmp_path):
    _, summary, _ = prepared
    again = build_graded_cohort(tmp_path / "cohort", num_patients=30)
    same = prepare(read_cohort(again), tmp_path / "same", 32, num_workers=1, keep_patient_ids=True)
    text = again.read_text().replace('["nevus", "drusen", "scar"]', '["drusen", "nevus", "scar"]')
    again.write_text(text)

    other = prepare(read_cohort(again), tmp_path / "other", 32, num_workers=1, keep_patient_ids=True)

    assert same.manifest.fingerprint == summary.manifest.fingerprint
    assert other.manifest.fingerprint != summary.manifest.fingerprint
