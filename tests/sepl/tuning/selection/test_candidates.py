"""Who may win, and what a winner is held against."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from sepl.config import TrialConfig
from sepl.storage import resolve
from sepl.tuning.probe.record import Candidate as ProbeCandidate
from sepl.tuning.record.record import StudyFolder
from sepl.tuning.results.leaderboard import Leaderboard, State, TrialRow
from sepl.tuning.selection import candidates
from sepl.tuning.selection.candidates import compared_settings, find_candidates

HEAD = "the probe's best head"


def board_of(*rows: tuple[int, State, dict[str, object]]) -> Leaderboard:
    return Leaderboard(
        root=tuple(
            TrialRow(
                number=number,
                state=state,
                best_skill=0.5,
                num_epochs=3,
                best_epoch=1,
                seconds=1.0,
                params={},
                config={"backbone": "test_resnet", **config},
                curve={1: 0.5},
                skills={},
                failure=None,
            )
            for number, state, config in rows
        )
    )


def labels(board: Leaderboard, num_finalists: int, folder: Path) -> Sequence[str]:
    return [row.label for row in find_candidates(board, StudyFolder.at(str(folder), "done"), num_finalists)]


def test_the_best_that_ran_to_their_end_are_candidates_each_configuration_once(tmp_path: Path) -> None:
    board = board_of(
        (4, "complete", {"num_experts": 2}),
        (1, "complete", {"num_experts": 2}),
        (2, "complete", {"num_experts": 8}),
        (5, "complete", {"num_experts": 1}),
        (3, "pruned", {}),
    )

    assert labels(board, 1, tmp_path) == ["trial 4"]
    assert labels(board, 2, tmp_path) == ["trial 4", "trial 2"]
    assert labels(board, 9, tmp_path) == ["trial 4", "trial 2", "trial 5"]


def test_without_a_full_trial_there_is_no_candidate(tmp_path: Path) -> None:
    assert labels(board_of((3, "pruned", {})), 3, tmp_path) == []


def test_what_is_compared_has_the_winners_backbone_and_budget() -> None:
    winner = TrialConfig.from_params(
        {
            "backbone": "test_resnet",
            "num_epochs": 7,
            "batch_size": 8,
            "learning_rate": 3e-3,
            "task_split": "demographic",
            "num_experts": 2,
            "task_groups": "each",
            "cooperative": True,
        }
    )

    settings = compared_settings(winner)

    assert list(settings) == ["the paper's setting", "hard sharing"]
    for config in settings.values():
        assert config.model.backbone == "test_resnet"
        assert (config.training.num_epochs, config.training.batch_size) == (7, 8)
        assert not config.training.cooperative
    paper, hard = settings.values()
    assert (paper.model.task_split, paper.model.num_experts, paper.training.learning_rate) == (
        "anthropometric",
        4,
        1e-4,
    )
    assert (hard.model.family, hard.training.learning_rate) == ("hard_sharing", 3e-3)


@pytest.mark.parametrize(
    ("skill", "first_of_one", "of_three"),
    [(0.4, "trial 1", ["trial 1", HEAD]), (0.6, HEAD, [HEAD, "trial 1"])],
)
def test_the_probes_best_head_runs_against_the_trials_where_its_skill_puts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skill: float, first_of_one: str, of_three: list[str]
) -> None:
    config = TrialConfig.from_params({"backbone": "test_resnet", "frozen_stages": 1})
    head = ProbeCandidate(config, skill, {}, 2, resolve(tmp_path / "head"), None)
    monkeypatch.setattr(candidates, "probe_candidate", lambda _: head)
    board = board_of((1, "complete", {}))

    assert labels(board, 1, tmp_path) == [first_of_one]
    assert labels(board, 3, tmp_path) == of_three
    assert labels(board_of(), 1, tmp_path) == [HEAD]
    assert [row.is_trial for row in find_candidates(board, StudyFolder.at(str(tmp_path), "done"), 3)] == [
        label != HEAD for label in of_three
    ]
