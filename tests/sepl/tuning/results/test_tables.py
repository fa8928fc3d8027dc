from typing import Any

from rich.console import Console

from sepl.tuning.results.leaderboard import Leaderboard, TrialRow
from sepl.tuning.results.tables import leaderboard_table, varying_params


def row(number: int, skill: float | None = 0.5, known: float | None = None, **params: Any) -> TrialRow:
    return TrialRow(
        unknown_skill=None if known is None else 0.123,
        known_skill=known,
        number=number,
        state="complete" if skill is not None else "failed",
        best_skill=skill,
        num_epochs=3,
        best_epoch=None if skill is None else 2,
        seconds=1.0,
        params=params,
        config=params,
        curve={} if skill is None else {1: skill},
        skills={},
        failure=None,
    )


def shown(*rows: TrialRow, most: int = 15) -> str:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(leaderboard_table(Leaderboard(root=rows), most))
    return capture.get()


def test_params_that_are_the_same_in_all_rows_do_not_vary() -> None:
    rows = [row(0, rate=0.1, width=8, depth=1), row(1, rate=0.2, width=8)]

    assert varying_params(rows) == ["rate", "depth"]


def test_one_trial_varies_in_nothing() -> None:
    assert varying_params([row(0, rate=0.1)]) == []


def test_a_table_shows_the_best_with_the_params_that_differ_and_no_trial_that_told_nothing() -> None:
    text = shown(row(4, 0.7, rate=0.1, width=8), row(2, 0.6, rate=0.2, width=8), row(9, None, rate=0.3))

    assert "best 2 of 3" in text
    assert "rate" in text
    assert "width" not in text
    assert "failed" not in text


def test_a_study_that_knows_values_shows_both_skills_and_another_none() -> None:
    text = shown(row(4, 0.7, known=0.456, rate=0.1), row(2, 0.6, rate=0.2))

    assert "nothing known" in text
    assert "0.123" in text
    assert "0.456" in text
    assert "known" not in shown(row(4, 0.7, rate=0.1), row(2, 0.6, rate=0.2))


def test_no_more_rows_than_asked_for_and_no_more_than_six_params() -> None:
    names = [f"p{index}" for index in range(9)]
    rows = [row(number, 0.5, **dict.fromkeys(names, number)) for number in range(20)]

    text = shown(*rows, most=3)

    assert "best 3 of 20" in text
    assert sum(name in text for name in names) == 6


def test_a_study_of_no_trials_has_an_empty_table() -> None:
    assert "best 0 of 0" in shown()


def test_above_the_trials_stands_what_trains_nothing_where_that_is_known() -> None:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(leaderboard_table(Leaderboard(root=(row(0),)), closed_form=0.418))

    lines = [line for line in capture.get().splitlines() if "0." in line]
    assert "closed form" in lines[0]
    assert "0.418" in lines[0]
    assert "closed form" not in shown(row(0))


def test_another_studys_trial_is_marked_as_its() -> None:
    taken = row(4, 0.7, rate=0.1).model_copy(update={"from_study": "before"})

    assert "complete, before's" in shown(taken, row(2, 0.6, rate=0.2))
