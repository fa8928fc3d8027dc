"""Who may win a study: the best of its trials, and what else it has come to; and what any winner is held against."""

from collections.abc import Sequence
from dataclasses import dataclass

from sepl.config import TrainingConfig, TrialConfig
from sepl.tuning.record.record import StudyFolder
from sepl.tuning.results.leaderboard import Leaderboard, TrialRow

_OF_TURNS = "cooperative"
_BUDGET = (
    *("backbone", "weights", "frozen_stages", "num_epochs", "batch_size", "micro_batch_size", "precision"),
    *("deterministic", "seed"),
)
"""Hyperparameters that decide what a training costs."""


@dataclass(frozen=True)
class Candidate:
    """A configuration that may win."""

    label: str
    """As bundle and report name it, such as trial 12."""
    row: TrialRow

    @property
    def config(self) -> TrialConfig:
        return TrialConfig.from_params(self.row.config)


def find_candidates(board: Leaderboard, folder: StudyFolder, num_finalists: int) -> list[Candidate]:
    """The best so many configurations that ran to their end, best first, each once; then what others offer.

    Empty when no trial ran to its end.
    """
    found: list[Candidate] = []
    for row in board.root:
        candidate = Candidate(f"trial {row.number}", row)
        if row.state == "complete" and candidate.config not in [other.config for other in found]:
            found.append(candidate)
        if len(found) == num_finalists:
            break
    return [*found, *offered_beside(folder)] if num_finalists > 1 else found


def offered_beside(folder: StudyFolder) -> Sequence[Candidate]:
    """Candidates that are no trial of the search and run against its best: the best head of a probe stands here."""
    del folder
    return ()


def compared_settings(winner: TrialConfig) -> dict[str, TrialConfig]:
    """What the winner is held against at an equal budget, by label: its backbone, weights, epochs and batches.

    The paper's setting is Ko et al., MICCAI 2025, as released: six simple factors first, four experts, no
    regularisation. Hard sharing is one linear head a task on the winner's own training.
    """
    params = winner.to_params()
    names = (
        "backbone",
        "weights",
        "num_epochs",
        "batch_size",
        "micro_batch_size",
        "precision",
        "deterministic",
        "seed",
    )
    budget = {name: params[name] for name in (*names, "frozen_stages")}
    training = {name: params[name] for name in TrainingConfig.model_fields if not name.startswith(_OF_TURNS)}
    trunk = {name: params[name] for name in ("task_split", "drop_path", "final_norm")}
    return {
        "the paper's setting": TrialConfig.from_params(budget),
        "hard sharing": TrialConfig.from_params({**training, **budget, **trunk, "family": "hard_sharing"}),
    }
