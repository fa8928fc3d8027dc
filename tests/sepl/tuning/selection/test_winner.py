"""From a finished study to a bundle, the study being made by hand: no Ray is needed to select."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from sepl.bundle.format import read_bundle, write_bundle
from sepl.bundle.manifest import Provenance
from sepl.bundle.registry import Registry
from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.imaging.photograph import IMAGENET
from sepl.errors import DatasetError, DivergedError, StorageError, StudyError
from sepl.scoring import compose
from sepl.scoring.compose import compose_content
from sepl.scoring.evaluation import evaluate_bundle
from sepl.scoring.scorer import Scorer
from sepl.training.input.batches import TrainingData
from sepl.training.refit import refit
from sepl.training.supervised.run import TrainingRun, train
from sepl.tuning.record.record import StudyFolder
from sepl.tuning.selection import publication, select_winner

Make = Callable[..., None]
Params = dict[str, Any]


def test_the_winner_is_published_with_what_scores_it_needs(
    make_study: Make, tmp_path: Path, dataset: PreparedDataset, params: Params
) -> None:
    make_study()

    winner = select_winner(str(tmp_path), "done")

    manifest = Registry(tmp_path / "registry").show("done").manifest
    assert manifest.bundle_id == winner.bundle_id
    assert manifest.config == TrialConfig.from_params(params)
    assert manifest.provenance.best_epoch == 2
    assert manifest.provenance.trial == "trial 0"
    assert set(manifest.intervals.half_widths) | set(manifest.intervals.temperatures) == set(dataset.tasks.names)


def test_the_published_evaluation_is_that_of_the_published_bundle(
    make_study: Make, tmp_path: Path, dataset: PreparedDataset
) -> None:
    make_study()
    winner = select_winner(str(tmp_path), "done")

    scorer = Scorer(Registry(tmp_path / "registry").show("done"))

    assert winner.evaluation.cohort_split == "test"
    assert evaluate_bundle(scorer, dataset, "test") == winner.evaluation


def test_the_sealed_patients_are_read_once(make_study: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_study()
    read: list[str] = []

    def counted(scorer: Scorer, data: PreparedDataset, cohort_split: str, **more: Any) -> Any:
        read.append(cohort_split)
        return evaluate_bundle(scorer, data, cohort_split, **more)

    monkeypatch.setattr(compose, "evaluate_bundle", counted)
    first = select_winner(str(tmp_path), "done")

    second = select_winner(str(tmp_path), "done")

    assert read == ["test"]
    assert second == first
    assert len(Registry(tmp_path / "registry").list()) == 1


def test_the_refit_learns_from_train_and_validation_patients(dataset: PreparedDataset, params: Params) -> None:
    config = TrialConfig.from_params(params)
    told: list[str] = []

    state = refit(config, dataset, tell=told.append)

    without_validation = TrainingRun(config, TrainingData.load(dataset, validation_split=None))
    for _ in train(without_validation):
        pass
    assert len(told) == config.training.num_epochs
    assert any(not value.equal(without_validation.best_state()[name]) for name, value in state.items())


def test_when_the_refit_diverges_the_trials_own_weights_are_published(
    make_study: Make, tmp_path: Path, dataset: PreparedDataset, monkeypatch: pytest.MonkeyPatch, params: Params
) -> None:
    run = TrainingRun(TrialConfig.from_params(params), TrainingData.load(dataset))
    run.run_epoch()
    run.save(tmp_path / "checkpoint")
    make_study(checkpoint=str(tmp_path / "checkpoint"))
    monkeypatch.setattr(publication, "refit", _diverge)
    told: list[str] = []

    winner = select_winner(str(tmp_path), "done", told.append)

    bundle = Registry(tmp_path / "registry").show(winner.bundle_id)
    assert "diverged" in bundle.manifest.provenance.trial
    assert any("diverged" in line for line in told)
    assert all(value.equal(run.best_state()[name]) for name, value in bundle.state.items())


def _diverge(*args: Any, **options: Any) -> Any:
    raise DivergedError("loss of age is not finite")


def test_a_study_that_is_not_over_has_no_winner(make_study: Make, tmp_path: Path) -> None:
    make_study(ended=False)

    with pytest.raises(StudyError, match="not over; go on with --resume"):
        select_winner(str(tmp_path), "done")


def test_a_study_without_a_full_trial_has_no_winner(make_study: Make, tmp_path: Path) -> None:
    make_study(full=False)

    with pytest.raises(StudyError, match="no trial ran to the end"):
        select_winner(str(tmp_path), "done")


def test_a_dataset_that_changed_is_refused(make_study: Make, tmp_path: Path) -> None:
    make_study(fingerprint="before")

    with pytest.raises(DatasetError, match="changed since the study began"):
        select_winner(str(tmp_path), "done")


def test_a_study_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"nowhere/study\.json"):
        select_winner(str(tmp_path), "nowhere")


def test_selecting_loads_no_ray() -> None:
    code = "import sys, sepl.tuning.selection; print('ray' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"


def _lose_what_the_database_was_told_since(tmp_path: Path) -> None:
    shutil.copy(tmp_path / "before.db", tmp_path / "done" / "optuna.db")


def test_a_bundle_that_the_database_does_not_know_is_found_by_its_study(make_study: Make, tmp_path: Path) -> None:
    make_study()
    shutil.copy(tmp_path / "done" / "optuna.db", tmp_path / "before.db")
    told: list[str] = []
    first = select_winner(str(tmp_path), "done", told.append)
    _lose_what_the_database_was_told_since(tmp_path)
    told.clear()

    second = select_winner(str(tmp_path), "done", told.append)

    registry = Registry(tmp_path / "registry")
    assert second == first
    assert told == []  # neither refitted nor tested
    assert [manifest.bundle_id for manifest in registry.list()] == [first.bundle_id]
    assert len(registry.aliases().aliases["done"]) == 1


def _stop_at_the_test(line: str) -> None:
    if "testing" in line:
        raise KeyboardInterrupt


def test_a_test_that_was_interrupted_is_not_run_again_unless_asked_for(make_study: Make, tmp_path: Path) -> None:
    make_study()
    with pytest.raises(KeyboardInterrupt):
        select_winner(str(tmp_path), "done", _stop_at_the_test)
    told: list[str] = []

    with pytest.raises(StudyError, match=r"has read the sealed test patients before.*--test-again"):
        select_winner(str(tmp_path), "done", told.append)

    assert told == []
    assert Registry(tmp_path / "registry").list() == ()


def test_a_second_test_is_marked_in_bundle_and_card(make_study: Make, tmp_path: Path) -> None:
    make_study()
    with pytest.raises(KeyboardInterrupt):
        select_winner(str(tmp_path), "done", _stop_at_the_test)

    winner = select_winner(str(tmp_path), "done", test_again=True)

    registry = Registry(tmp_path / "registry")
    assert registry.show(winner.bundle_id).manifest.provenance.earlier_test_readings == 1
    assert "had read these patients once before" in registry.card(winner.bundle_id)


def test_a_first_test_is_marked_nowhere(make_study: Make, tmp_path: Path) -> None:
    make_study()

    winner = select_winner(str(tmp_path), "done")

    registry = Registry(tmp_path / "registry")
    assert registry.show(winner.bundle_id).manifest.provenance.earlier_test_readings == 0
    assert "before, and was told" not in registry.card(winner.bundle_id)


def test_two_processes_never_select_at_once(make_study: Make, tmp_path: Path) -> None:
    make_study()

    with (
        StudyFolder.at(str(tmp_path), "done").only_driver(),
        pytest.raises(StorageError, match=r"another run is searching .*done \(process"),
    ):
        select_winner(str(tmp_path), "done")


def test_a_bundle_says_how_its_network_normalises_and_is_scored_so(
    dataset: PreparedDataset, tmp_path: Path, params: Params
) -> None:
    config = TrialConfig.from_params(params)
    run = TrainingRun(config, TrainingData.load(dataset, device="cpu"))
    provenance = Provenance(study="s", dataset_uri=dataset.uri, fingerprint=dataset.fingerprint)

    own = compose_content(config, dataset, run.best_state(), provenance, cohort_split="validation")
    told = compose_content(
        config, dataset, run.best_state(), provenance, cohort_split="validation", normalisation=IMAGENET
    )

    write_bundle(tmp_path / "own", **own)
    assert own["image"] == dataset.image_spec.for_network(run.network.normalisation) != dataset.image_spec
    assert Scorer(read_bundle(tmp_path / "own")).network.normalisation == run.network.normalisation
    assert told["image"] == dataset.image_spec


def test_own_weights_of_photographs_normalised_otherwise_are_not_published(
    make_study: Make, tmp_path: Path, dataset: PreparedDataset, monkeypatch: pytest.MonkeyPatch, params: Params
) -> None:
    run = TrainingRun(TrialConfig.from_params(params), TrainingData.load(dataset))
    run.save(tmp_path / "checkpoint")
    told = load_file(tmp_path / "checkpoint" / "objective.safetensors")
    del told["normalisation"]  # as a save of the time when all were trained as for ImageNet
    save_file(told, tmp_path / "checkpoint" / "objective.safetensors")
    make_study(checkpoint=str(tmp_path / "checkpoint"))
    monkeypatch.setattr(publication, "refit", _diverge)

    with pytest.raises(StudyError, match="normalised as its backbone's, were of an earlier version's"):
        select_winner(str(tmp_path), "done", lambda _: None)
