"""Who may win a study: the best of its trials, and what else it has come to; and what any winner is held against."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sepl.config import TrainingConfig, TrialConfig
from sepl.tuning.probe.record import PROBE_NUMBER, probe_candidate
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
    def is_trial(self) -> bool:
        """Whether a trial of the search has weights of it."""
        return self.row.number != PROBE_NUMBER

    @property
    def config(self) -> TrialConfig:
        return TrialConfig.from_params(self.row.config)


def find_candidates(board: Leaderboard, folder: StudyFolder, num_finalists: int) -> list[Candidate]:
    """The best so many configurations that ran to their end, each once, and what others offer beside them, best first.

    Of one alone, the best of both. Empty when no trial ran to its end and nobody offers any.
    """
    found: list[Candidate] = []
    for row in board.root:
        candidate = Candidate(f"trial {row.number}", row)
        if row.state == "complete" and candidate.config not in [other.config for other in found]:
            found.append(candidate)
        if len(found) == num_finalists:
            break
    for offered in offered_beside(folder):
        places = (place for place, other in enumerate(found) if _skill(other) < _skill(offered))
        found.insert(next(places, len(found)), offered)
    return found[:1] if num_finalists == 1 else found


def _skill(candidate: Candidate) -> float:
    return candidate.row.best_skill if candidate.row.best_skill is not None else -math.inf


def offered_beside(folder: StudyFolder) -> Sequence[Candidate]:
    """Candidates that are no trial of the search and run against its best: the probe's best head."""
    probed = probe_candidate(folder)
    return () if probed is None else (Candidate("the probe's best head", probed.as_row()),)


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
