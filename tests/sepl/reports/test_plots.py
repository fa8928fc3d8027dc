import numpy as np

from sepl.reports.plots import AROUND_ZERO, NUM_COLUMNS, cut, empty_figure, matrix, panels, place


def test_panels_stand_where_their_place_says() -> None:
    drawing = panels([f"panel {index}" for index in range(7)], "n")

    places = [place(index) for index in range(7)]
    assert places == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3), (3, 1)]
    assert max(column for _, column in places) == NUM_COLUMNS
    titles = drawing.to_dict()["layout"]["annotations"]
    assert [title["text"] for title in titles] == [f"panel {index}" for index in range(7)]


def test_a_matrix_writes_its_numbers_never_a_negative_nothing_and_leaves_absent_cells_empty() -> None:
    colours = {"colorscale": AROUND_ZERO, "zmin": -1, "zmax": 1}

    drawing = matrix(
        np.array([[-0.001, np.nan]]), ["a", "b"], ["r"], colours, decimals=2, hover="{row} {column} {value:.2f}"
    )

    trace = drawing.to_dict()["data"][0]
    assert trace["text"] == [["0.00", ""]]
    assert trace["hovertext"][0][0] == "r a 0.00"


def test_an_axis_has_the_title_that_was_asked() -> None:
    layout = empty_figure("epoch", "skill").to_dict()["layout"]

    assert [layout[axis]["title"]["text"] for axis in ("xaxis", "yaxis")] == ["epoch", "skill"]


def test_a_title_that_is_too_long_ends_in_an_ellipsis() -> None:
    assert cut("a" * 30, most=10) == "a" * 9 + "…"
    assert cut("short") == "short"
