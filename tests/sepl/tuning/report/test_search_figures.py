"""What is drawn of how a search went."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.tuning.report.search_figures import hours_figure, occupancy_figure, parallel_figure, roles_figure
from sepl.tuning.report.study_page import Spent
from sepl.tuning.results.leaderboard import TrialRow


def row(number: int, skill: float | None, state: str = "complete", **params: Any) -> TrialRow:
    return TrialRow(
        number=number,
        state=state,  # pyright: ignore[reportArgumentType]
        best_skill=skill,
        num_epochs=3,
        best_epoch=3,
        seconds=1.0,
        params=params,
        config={},
        curve={} if skill is None else {3: skill},
        skills={},
        failure=None,
    )


def traces(figure: Any) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data}


def only_trace(figure: Any) -> Any:
    (trace,) = figure.data
    return trace


@given(st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=8))
def test_the_best_of_full_runs_against_hours_never_falls(skills: list[float]) -> None:
    rows = [row(number, skill, "complete" if number % 2 == 0 else "pruned") for number, skill in enumerate(skills)]
    spent = [Spent(number, number + 1.0) for number in range(len(skills))]

    best = list(traces(hours_figure(rows, spent, "GPU-hours", None))["best so far"].y)

    assert best == sorted(best)
    assert best[-1] == max(skills[::2])


def test_money_has_an_axis_of_its_own_in_step_with_hours() -> None:
    figure: Any = hours_figure([row(0, 0.5)], [Spent(0, 4.0)], "GPU-hours", 2.5)

    assert figure.layout.xaxis2.range[1] == pytest.approx(2.5 * figure.layout.xaxis.range[1])
    assert figure.layout.xaxis2.title.text == "cost"
    assert "xaxis2" not in hours_figure([row(0, 0.5)], [Spent(0, 4.0)], "GPU-hours", None).layout


def test_occupancy_is_drawn_from_zero() -> None:
    trace = only_trace(occupancy_figure([(0.0, 1), (1.0, 2), (2.0, 0)]))

    assert list(trace.y) == [1, 2, 0]
    assert trace.fill == "tozeroy"


def test_parallel_axes_know_choices_powers_of_ten_and_what_was_not_asked() -> None:
    rows = [
        row(0, 0.5, learning_rate=1e-4, backbone="<b>a", same=1, momentum=0.9),
        row(1, 0.6, learning_rate=1e-2, backbone="c", same=1),
        row(2, None, "failed", learning_rate=1e-3, backbone="d", same=1),
    ]

    figure = parallel_figure(rows)

    assert figure is not None
    axes = {axis.label: axis for axis in only_trace(figure).dimensions}
    assert set(axes) == {"learning rate", "backbone", "momentum", "best skill"}
    assert list(axes["learning rate"]["values"]) == pytest.approx([-4.0, -2.0])
    assert axes["learning rate"].ticktext[0] == "0.0001"
    assert list(axes["backbone"].ticktext) == ["&lt;b&gt;a", "c"]
    assert axes["momentum"].ticktext[0] == "–"
    assert axes["momentum"]["values"][1] < axes["momentum"]["values"][0]


@pytest.mark.parametrize("rows", [[], [row(0, 0.5, a=1)], [row(0, 0.5, a=1), row(1, 0.5, a=1)]])
def test_without_a_difference_there_are_no_parallel_axes(rows: list[TrialRow]) -> None:
    assert parallel_figure(rows) is None


def test_roles_are_tasks_by_trials() -> None:
    figure = roles_figure(["7: 0.50", "3: 0.40"], ["sex", "age", "sbp"], [[True, True, False], [False, True, False]])

    heatmap = only_trace(figure)
    assert [list(line) for line in heatmap.z] == [[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
