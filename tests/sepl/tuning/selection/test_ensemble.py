"""Who is chosen into an ensemble, and what is published of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.bundle.registry import Registry
from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import StudyError
from sepl.scoring.evaluation import evaluate_bundle
from sepl.scoring.scorer import Scorer
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun
from sepl.tuning.selection import SelectionRules, select_winner
from sepl.tuning.selection.ensemble import choose_members

Make = Callable[..., None]


def skill_against(truth_N: np.ndarray) -> Callable[[np.ndarray], float]:
    return lambda outputs_NO: -float(np.abs(outputs_NO[:, 0] - truth_N).mean())


@given(seed=st.integers(0, 999), num_models=st.integers(1, 5), num_rounds=st.integers(1, 6))
def test_an_ensemble_is_never_worse_than_the_best_of_its_library(seed: int, num_models: int, num_rounds: int) -> None:
    rng = np.random.default_rng(seed)
    truth_N = rng.normal(size=30)
    library = [(truth_N + rng.normal(size=30))[:, None].astype(np.float32) for _ in range(num_models)]
    skill = skill_against(truth_N)

    votes = choose_members(library, skill, num_rounds)

    chosen_NO = np.average(library, axis=0, weights=votes).astype(np.float32)
    assert 1 <= sum(votes) <= num_rounds
    assert skill(chosen_NO) >= max(map(skill, library)) - 1e-6


def test_two_that_err_to_either_side_are_chosen_together_and_more_of_the_same_is_not() -> None:
    truth_N = np.linspace(0, 1, 20)
    over, under, wrong = ((truth_N + off)[:, None].astype(np.float32) for off in (1.0, -1.0, 5.0))

    assert choose_members([wrong, over, under], skill_against(truth_N), 6) == [0, 1, 1]
    assert choose_members([over], skill_against(truth_N), 6) == [1]


def keep_weights(folder: Path, dataset: PreparedDataset, params: dict[str, Any]) -> str:
    run = TrainingRun(TrialConfig.from_params(params), TrainingData.load(dataset))
    run.run_epoch()
    run.save(folder)
    return str(folder)


def test_one_bundle_of_the_trials_own_weights_is_published_and_tested(
    make_study: Make, tmp_path: Path, dataset: PreparedDataset, params: dict[str, Any]
) -> None:
    own = [keep_weights(tmp_path / f"checkpoint{seed}", dataset, {**params, "seed": seed}) for seed in (0, 5)]
    make_study(others=((0.2, {"seed": 5}), (0.1, {"seed": 6})), checkpoints=(*own, str(tmp_path / "deleted")))
    told: list[str] = []

    winner = select_winner(str(tmp_path), "done", told.append, rules=SelectionRules(finalists=3, ensemble=4))

    bundle = Registry(tmp_path / "registry").show(winner.bundle_id)
    manifest = bundle.manifest
    assert {member.trial for member in manifest.members} <= {"trial 0", "trial 1"}
    assert manifest.provenance.trial.startswith("ensemble of trial")
    assert evaluate_bundle(Scorer(bundle), dataset, "test") == winner.evaluation
    assert not (tmp_path / "done" / "finalists").exists()
    assert not any("refit" in line for line in told)
    assert select_winner(str(tmp_path), "done", rules=SelectionRules(ensemble=4)) == winner


def test_without_kept_weights_there_is_no_ensemble(make_study: Make, tmp_path: Path) -> None:
    make_study()

    with pytest.raises(StudyError, match="no trial that ran to its end has kept weights for an ensemble"):
        select_winner(str(tmp_path), "done", lambda _: None, rules=SelectionRules(ensemble=2))
