"""What the rungs of a search were worth, on its page."""

from sepl.tuning.report.rungs import rungs_section
from sepl.tuning.results.leaderboard import Leaderboard, TrialRow


def board(num_trials: int) -> Leaderboard:
    """Trials whose order turns after the first epoch."""
    rows = [
        TrialRow(
            number=number,
            state="complete",
            best_skill=None,
            num_epochs=9,
            best_epoch=9,
            seconds=1.0,
            params={},
            config={},
            curve={1: -number, 2: number, 3: number, 9: number},
            skills={},
            failure=None,
        )
        for number in range(num_trials)
    ]
    return Leaderboard(root=tuple(rows))


def test_each_rung_has_its_correlation_with_an_interval() -> None:
    text = str(rungs_section(board(10), 9))

    assert "and at epoch 9, of 10 trials" in text
    assert "1.000 … 1.000" in text
    assert "−1.000" in text or "-1.000" in text


def test_few_trials_are_said_to_be_too_few() -> None:
    assert "Too few trials came far enough to tell." in str(rungs_section(board(3), 9))
