import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prepared_tables import REJECTED, TASKS, build_tables, some_labels, write_csv
from scipy.stats import spearmanr

from sepl.data.imaging.reasons import Refusal
from sepl.data.report.counts import PreparedLabels, count_labels, count_refusals, histogram
from sepl.tasks import Task, TaskTable


def test_reasons_that_differ_by_their_numbers_alone_are_one(tmp_path):
    refusals = [
        Refusal("file not found"),
        Refusal("not gradeable", "colour 0.1 below 0.5", "colour"),
        Refusal("not gradeable", "colour 2e-05 below 0.5", "colour"),
        Refusal("not gradeable", "exposure_low 0.9 above 0.6", "exposure_low"),
    ]
    rows = [[1, "", refusal.group, str(refusal), ""] for refusal in refusals]
    write_csv(tmp_path / "rejected.csv", REJECTED, rows)

    found = count_refusals(tmp_path / "rejected.csv")

    assert [(entry.kind, entry.num, len(entry.details)) for entry in found] == [
        ("not gradeable: colour", 2, 1),
        ("file not found", 1, 1),
        ("not gradeable: exposure_low", 1, 1),
    ]


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("counted")
    labels = some_labels(400)
    labels["hba1c"] = np.where(np.arange(400) % 4 < 3, labels["age"] ** 3, np.nan)
    sites = ["a"] * 100 + ["b"] * 300
    build_tables(folder, ["train"] * 300 + ["test"] * 100, labels, site=sites)
    table = PreparedLabels(folder / "labels.parquet")
    sites = table.groups("site")
    assert sites is not None
    return labels, count_labels(table, TASKS, {"site": sites})


def test_the_means_are_those_of_patients(counted):
    labels, counts = counted
    age_P = labels["age"].reshape(-1, 2).mean(axis=1)

    age = counts.tasks[1]

    assert age.num_S.tolist() == [150, 0, 0, 50]
    assert age.mean_S[[0, 3]] == pytest.approx([age_P[:150].mean(), age_P[150:].mean()])
    assert age.deviation == pytest.approx(age_P.std(ddof=1))
    assert age.median == pytest.approx(np.median(age_P))
    assert np.isnan(age.mean_S[1])


def test_the_missingness_matrix_counts_photographs(counted):
    _, counts = counted
    hba1c = counts.tasks[2]

    columns = [(column.kind, column.name, column.num_photographs) for column in counts.columns]

    assert columns == [
        ("", "all", 400),
        ("cohort split", "train", 300),
        ("cohort split", "validation", 0),
        ("cohort split", "calibration", 0),
        ("cohort split", "test", 100),
        ("site", "b", 300),
        ("site", "a", 100),
    ]
    assert hba1c.num_missing == 100
    assert hba1c.num_S.tolist() == [150, 0, 0, 50]  # a photograph with a label is enough for its patient
    assert hba1c.missing_G[[0, 1, 4, 5, 6]].tolist() == [0.25] * 5


def test_the_correlations_are_of_ranks(counted):
    labels, counts = counted
    sex_P, calcium_P = (labels[name].reshape(-1, 2).mean(axis=1) for name in ("sex", "calcium"))

    assert counts.num_correlated == 200
    assert counts.correlation_TT[0, 3] == pytest.approx(spearmanr(sex_P, calcium_P)[0], abs=1e-4)
    assert np.allclose(np.diag(counts.correlation_TT), 1)


def test_a_task_with_nine_pairs_has_no_correlation(tmp_path):
    labels = {**some_labels(40), "hba1c": np.where(np.arange(40) < 18, 5.0 + np.arange(40), np.nan)}
    build_tables(tmp_path, ["train"] * 40, labels)

    counts = count_labels(PreparedLabels(tmp_path / "labels.parquet"), TASKS, {})

    assert np.isnan(counts.correlation_TT[2, 1])
    assert np.isfinite(counts.correlation_TT[3, 1])


@given(st.lists(st.floats(-1e6, 1e6) | st.integers(0, 200).map(float), max_size=80))
def test_a_histogram_counts_every_value_once(values):
    found = histogram(np.array(values, np.float64))

    assert found.counts.sum() == len(values)
    assert len(found.counts) <= 32
    assert (np.diff(found.edges) > 0).all()


def test_far_values_are_gathered_in_the_outermost_bins_unless_the_tail_is_wanted():
    values = np.append(np.random.default_rng(0).normal(100, 10, 5000), [5000.0])

    assert histogram(values).edges[-1] < 150
    assert histogram(values, tail=0.0).edges[-1] == 5000


def test_the_bins_of_whole_years_are_whole_years_wide():
    ages = np.random.default_rng(0).integers(20, 90, 5000).astype(float)

    found = histogram(ages)

    assert set(np.diff(found.edges)) == {3.0}
    assert found.edges[0] % 1 == 0.5


def test_levels_are_counted_by_patient_and_as_binary_tasks_of_having_them(tmp_path):
    grade = Task(name="dr", kind="ordinal", unit="level", label="DR", levels=("a", "b", "c"), patient="worst")
    kind = Task(name="kind", kind="categorical", unit="level", label="Kind", levels=("x", "y"))
    labels = {"dr": np.array([0.0, 2, 1, 1, 0, np.nan, np.nan, np.nan]), "kind": np.array([0.0, 0, 1, 1, 1, 1, 0, 0])}
    tasks = TaskTable.of([grade, kind])
    build_tables(tmp_path, ["train"] * 6 + ["test"] * 2, labels, tasks=tasks)

    counts = count_labels(PreparedLabels(tmp_path / "labels.parquet"), tasks, {})

    grades, kinds = counts.tasks
    assert grades.histogram.counts.tolist() == [1, 1, 1]
    assert [part.task.label for part in grades.levels] == ["DR: a", "DR: b", "DR: c"]
    assert [part.mean_S[0] for part in grades.levels] == pytest.approx([1 / 3] * 3)
    assert [part.num_S.tolist() for part in kinds.levels] == [[3, 0, 0, 1]] * 2
    assert kinds.histogram.counts.tolist() == [2, 2]
    assert np.isnan(counts.correlation_TT[1]).all()
