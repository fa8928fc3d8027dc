"""Who wins the re-runs: laws over skills, and what is kept of a run."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.config import TrialConfig
from sepl.storage import resolve
from sepl.tuning.results.finalists import (
    FinalistRun,
    Question,
    Verdict,
    judge,
    place_of_run,
    read_run,
    read_verdict,
    with_comparisons,
    write_run,
    write_verdict,
)

Skills = list[list[float | None]]
rows = st.integers(2, 4).flatmap(
    lambda num_folds: st.lists(
        st.lists(st.none() | st.floats(-1, 1), min_size=num_folds, max_size=num_folds), min_size=1, max_size=4
    )
)


def verdict_on(skills: Skills) -> Verdict:
    """On finalists a, b, c, …, in the order of the search."""
    return judge([("abcd"[place], 0.5 - place / 10) for place in range(len(skills))], skills)


@given(rows)
def test_nobody_has_a_higher_mean_less_its_error_than_the_winner(skills: Skills) -> None:
    verdict = verdict_on(skills)

    scores = {standing.label: standing.score for standing in verdict.standings}
    assert scores[verdict.winner] == max(scores.values())


@given(rows)
def test_equal_finalists_do_not_change_the_order_of_the_search(skills: Skills) -> None:
    verdict = verdict_on([skills[0]] * 3)

    assert verdict.winner == "a"
    assert not verdict.is_changed
    assert verdict.num_folds_led_by_others == verdict.num_changes_without_a_fold == 0


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=4), st.floats(0.1, 1.0))
def test_who_is_better_in_every_fold_by_as_much_wins_always(skills: list[float], lead: float) -> None:
    verdict = verdict_on([[*skills], [skill + lead for skill in skills]])

    assert verdict.winner == "b"
    assert verdict.is_changed
    assert verdict.num_folds_led_by_others == verdict.num_changes_without_a_fold == 0


def test_the_luckiest_run_does_not_win_over_the_steadier_better_one() -> None:
    verdict = verdict_on([[0.9, 0.1, 0.35], [0.45, 0.44, 0.46]])

    assert verdict.winner == "b"
    assert verdict.num_folds_led_by_others == 1
    assert verdict.standings[0].mean == pytest.approx(0.45)
    assert verdict.standings[0].standard_error == pytest.approx(math.sqrt(0.165 / 3), rel=0.01)


def test_a_broken_run_costs_itself_and_one_run_has_the_spread_of_the_others() -> None:
    verdict = verdict_on([[0.5, None, None], [0.4, 0.6, 0.5], [None, None, None]])

    assert verdict.standings[0].mean == 0.5
    assert verdict.standings[0].standard_error == pytest.approx(0.1)
    assert verdict.standings[2].mean is None
    assert verdict.winner == "b"  # as good, and surer


def test_where_every_run_broke_off_the_first_of_the_search_wins() -> None:
    assert verdict_on([[None, None], [None, None]]).winner == "a"


def test_one_seed_each_compares_means_alone() -> None:
    verdict = verdict_on([[0.3], [0.4]])

    assert verdict.winner == "b"
    assert verdict.num_changes_without_a_fold == 0


def test_the_verdict_is_told_in_a_line() -> None:
    told = verdict_on([[0.3, 0.3], [0.4, 0.4]]).told()

    assert told.startswith("b won 2 re-runs of each of 2 finalists; the first of the search was not the winner")
    assert "\n" not in told


def run_of(label: str = "trial 12", **changes: object) -> FinalistRun:
    question = Question.parse(
        {"fingerprint": "f", "config": TrialConfig(), "fold": 1, "num_folds": 5, "fold_seed": 0, **changes}, "test"
    )
    return FinalistRun(label=label, question=question, skill=0.25, skills={"age": 0.3, "sex": None}, seconds=2.0)


def test_a_kept_run_answers_its_own_question_alone(tmp_path: Path) -> None:
    study, run = resolve(tmp_path), run_of()
    write_run(study, run)

    assert read_run(study, run.label, run.question) == run
    for other in (
        run_of(fingerprint="g"),
        run_of(config=TrialConfig().with_params(seed=3)),
        run_of(num_folds=6),
        run_of(fold_seed=1),
        run_of(known_pattern="age+sex"),
        run_of(fold=2),
    ):
        assert read_run(study, run.label, other.question) is None
    assert read_run(study, "trial 13", run.question) is None


def test_a_damaged_file_is_no_run(tmp_path: Path) -> None:
    study, run = resolve(tmp_path), run_of()
    place = place_of_run(study, run.label, 1)
    write_run(study, run)
    place.write_bytes(place.read_bytes()[:40])

    assert read_run(study, run.label, run.question) is None
    assert place.name == "trial-00012-fold-1.json"


def test_a_verdict_is_read_as_it_was_written(tmp_path: Path) -> None:
    verdict = with_comparisons(verdict_on([[0.3, 0.3], [0.4, None]]), ["hard sharing"], [[0.1, 0.2]])

    write_verdict(resolve(tmp_path), verdict)

    assert read_verdict(resolve(tmp_path)) == verdict
    assert read_verdict(resolve(tmp_path / "elsewhere")) is None
