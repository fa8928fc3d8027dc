"""A study's trials as rows."""

import optuna

from sepl.tuning.results.leaderboard import TrialRow, leaderboard


def test_rows_of_finished_trials_are_made_once_and_the_board_is_the_same() -> None:
    study = optuna.create_study(direction="maximize")
    finished: dict[int, TrialRow] = {}
    for skill in (0.1, 0.3, 0.2):
        study.tell(study.ask(), skill)
    first = leaderboard(study, finished)
    study.tell(study.ask(), 0.4)
    running = study.ask()

    second = leaderboard(study, finished)

    assert second == leaderboard(study)
    assert sorted(finished) == [0, 1, 2, 3]
    assert running.number not in finished
    assert all(any(row is kept for kept in second.root) for row in first.root)
