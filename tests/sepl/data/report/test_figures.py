"""The figures of a preparation's report show the numbers that were counted."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.data.imaging.quality import Limits
from sepl.data.patients.splits import COHORT_SPLITS
from sepl.data.report.counts import Histogram, LabelCounts, MatrixColumn, TaskCounts
from sepl.data.report.figures import (
    balance_figure,
    correlation_figure,
    label_histograms,
    missingness_figure,
    quality_histograms,
    shares_figure,
)
from sepl.tasks import BUILT_IN_TASKS, Task

NUM_SPLITS = len(COHORT_SPLITS)
AGES = Histogram(np.array([20.0, 40.0, 60.0]), np.array([3, 5]))
SEXES = Histogram(np.array([-0.5, 0.5, 1.5]), np.array([6, 2]))


def counted(name: str, **changes: Any) -> TaskCounts:
    values: dict[str, Any] = {
        "task": BUILT_IN_TASKS[name],
        "histogram": SEXES if name == "sex" else AGES,
        "median": 42.0,
        "num_missing": 0,
        "num_S": np.full(NUM_SPLITS, 100),
        "mean_S": np.full(NUM_SPLITS, 50.0),
        "deviation_S": np.full(NUM_SPLITS, 10.0),
        "deviation": 10.0,
        "missing_G": np.array([0.0, 0.25]),
    }
    return TaskCounts(**{**values, **changes})


def traces(figure: go.Figure) -> Any:
    """What it draws, which plotly types as names."""
    return figure.data


def counts(*tasks: TaskCounts, correlation_TT: np.ndarray | None = None) -> LabelCounts:
    columns = [MatrixColumn("", "all", np.ones(8, bool)), MatrixColumn("site", "<a>", np.arange(8) < 4)]
    shown = np.eye(len(tasks)) if correlation_TT is None else correlation_TT
    return LabelCounts(list(tasks), columns, shown, num_correlated=8)


def test_each_task_has_a_panel_with_its_counts() -> None:
    figure = label_histograms(counts(counted("sex"), counted("age")))

    assert [trace.y.tolist() for trace in traces(figure)] == [[6, 2], [3, 5]]
    assert [trace.x.tolist() for trace in traces(figure)] == [[0.0, 1.0], [30.0, 50.0]]


@given(limit=st.floats(0.0, 2.0))
def test_a_limit_of_quality_is_drawn_and_in_view_however_far_it_is(limit: float) -> None:
    measured = Histogram(np.array([0.4, 0.5, 0.6]), np.array([1, 2]))

    figure = quality_histograms({"colour": measured}, {"colour": Limits(low=limit)})

    (line,) = figure.layout.shapes
    low, high = figure.layout.xaxis.range
    assert line.x0 == line.x1 == limit
    assert low <= limit <= high
    assert low <= 0.4 < 0.6 <= high


def test_a_measure_without_limits_has_no_line() -> None:
    assert not quality_histograms({"colour": AGES}, {}).layout.shapes
    assert not quality_histograms({"colour": AGES}, {"colour": Limits()}).layout.shapes


def test_missing_labels_are_per_cent_and_names_are_no_html() -> None:
    figure = missingness_figure(counts(counted("sex"), counted("age", missing_G=np.array([0.5, 1.0]))))

    (heat,) = traces(figure)
    assert np.asarray(heat.z).tolist() == [[0.0, 25.0], [50.0, 100.0]]
    assert list(figure.layout.xaxis.ticktext) == ["all (8)", "&lt;a&gt; (4)"]
    assert [note.text for note in figure.layout.annotations] == ["site"]


def test_each_two_tasks_are_correlated_once() -> None:
    correlation_TT = np.array([[1.0, 0.1, 0.2], [0.1, 1.0, 0.3], [0.2, 0.3, 1.0]])

    figure = correlation_figure(counts(*map(counted, ("sex", "age", "sbp")), correlation_TT=correlation_TT))

    (heat,) = traces(figure)

    np.testing.assert_array_equal(np.asarray(heat.z), [[0.1, np.nan], [0.2, 0.3]])


@given(mean=st.floats(0.0, 100.0), num=st.integers(1, 1000))
def test_a_difference_is_in_standard_deviations_with_its_interval(mean: float, num: int) -> None:
    validation = COHORT_SPLITS.index("validation")
    mean_S, num_S = np.full(NUM_SPLITS, 50.0), np.full(NUM_SPLITS, 100)
    mean_S[validation], num_S[validation] = mean, num

    figure = balance_figure([counted("age", mean_S=mean_S, num_S=num_S)])

    shown = {trace.name: trace for trace in traces(figure)}["validation"]
    assert shown.x[0] == pytest.approx((mean - 50.0) / 10.0)
    assert shown.error_x.array[0] == pytest.approx(1.96 * (1 / 100 + 1 / num) ** 0.5)


@pytest.mark.parametrize(
    "changes",
    [
        {"deviation": 0.0},
        {"deviation": np.nan},
        {"num_S": np.array([0, *[5] * (NUM_SPLITS - 1)])},
        {"num_S": np.array([5, *[0] * (NUM_SPLITS - 1)])},
    ],
    ids=["all alike", "nobody twice", "no train patient", "train alone"],
)
def test_what_cannot_be_compared_is_not_shown(changes: dict[str, Any]) -> None:
    figure = balance_figure([counted("age", **changes)])

    assert all(not len(trace.x or ()) for trace in traces(figure))
    assert [trace.name for trace in traces(figure)] == list(COHORT_SPLITS[1:])


@given(
    patients=st.lists(st.lists(st.integers(0, 50), min_size=NUM_SPLITS, max_size=NUM_SPLITS), min_size=1, max_size=5)
)
def test_the_shares_of_a_site_are_a_hundred_per_cent_or_nothing(patients: list[list[int]]) -> None:
    patients_GS = np.array(patients, np.int64)

    figure = shares_figure([f"site {index}" for index in range(len(patients))], patients_GS)

    shares_GS = np.array([trace.x for trace in traces(figure)]).T
    assert shares_GS.sum(axis=1) == pytest.approx(np.where(patients_GS.sum(axis=1) > 0, 100.0, 0.0))
    assert [trace.name for trace in traces(figure)] == list(COHORT_SPLITS)


def test_a_panel_of_grades_names_its_levels() -> None:
    task = Task(name="dr", kind="ordinal", unit="level", label="DR", levels=("none", "<mild>", "severe"))
    bars = Histogram(np.array([-0.5, 0.5, 1.5, 2.5]), np.array([5, 2, 1]))

    figure = label_histograms(counts(counted("age", task=task, histogram=bars)))

    assert [trace.y.tolist() for trace in traces(figure)] == [[5, 2, 1]]
    assert list(figure.layout.xaxis.ticktext) == ["none", "&lt;mild&gt;", "severe"]
