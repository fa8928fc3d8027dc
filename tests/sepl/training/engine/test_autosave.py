"""Saves of a run in progress: when they are due, and that one whole save is there whenever the process dies."""

from pathlib import Path

import pytest

from sepl.config import TrialConfig
from sepl.errors import ConfigError, StorageError
from sepl.training.engine.autosave import Autosave
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun


def saves(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("step-*"))


def test_a_save_is_due_after_so_many_steps_and_replaces_the_one_before(
    config: TrialConfig, data: TrainingData, tmp_path: Path
) -> None:
    run = TrainingRun(config.with_params(batch_size=8), data)
    autosave, seen = Autosave(run, tmp_path, every_steps=2), []

    run.run_epoch(lambda: (autosave(), seen.append(saves(tmp_path))))

    assert seen[:5] == [[], ["step-000000002"], ["step-000000002"], ["step-000000004"], ["step-000000004"]]


@pytest.mark.parametrize(("seconds", "expected"), [(1e-9, ["step-000000001"]), (3600.0, [])])
def test_a_save_is_due_after_so_many_seconds(
    seconds: float, expected: list[str], config: TrialConfig, data: TrainingData, tmp_path: Path
) -> None:
    run = TrainingRun(config, data)
    autosave, seen = Autosave(run, tmp_path, every_seconds=seconds), []

    run.run_epoch(lambda: (autosave(), seen.append(saves(tmp_path))))

    assert seen[0] == expected


def test_a_run_goes_on_from_the_newest_whole_save(config: TrialConfig, data: TrainingData, tmp_path: Path) -> None:
    run = TrainingRun(config, data)
    run.run_epoch()
    Autosave(run, tmp_path).save()
    killed = tmp_path / "step-000000009"  # while it was written: the file that makes it whole is absent
    killed.mkdir()
    (killed / "weights.safetensors").write_bytes(b"cut sh")

    again = TrainingRun(config, data)

    assert Autosave(again, tmp_path).resume()
    assert again.steps_done == run.steps_done
    assert saves(tmp_path) == [f"step-{run.steps_done:09d}"]


def test_a_save_cut_short_at_its_last_file_leaves_the_one_before(
    config: TrialConfig, data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = TrainingRun(config, data)
    saves = Autosave(run, tmp_path)
    saves.save()
    run.run_epoch()

    def die(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", die)
    with pytest.raises(KeyboardInterrupt):
        saves.save()

    again = TrainingRun(config, data)
    assert Autosave(again, tmp_path).resume()
    assert again.steps_done == 0


def test_without_a_save_a_run_begins(config: TrialConfig, data: TrainingData, tmp_path: Path) -> None:
    run = TrainingRun(config, data)

    assert not Autosave(run, tmp_path / "absent").resume()
    assert run.steps_done == 0


def test_saves_of_another_config_are_refused_by_what_differs(
    config: TrialConfig, data: TrainingData, tmp_path: Path
) -> None:
    Autosave(TrainingRun(config, data), tmp_path).save()

    with pytest.raises(ConfigError, match=r"another run: learning_rate should be 0\.1, was 0\.003"):
        Autosave(TrainingRun(config.with_params(learning_rate=0.1), data), tmp_path).resume()


def test_a_place_that_takes_no_files_is_named(config: TrialConfig, data: TrainingData, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StorageError, match=r"file should take a checkpoint"):
        Autosave(TrainingRun(config, data), tmp_path / "file").save()


@pytest.mark.parametrize("others", [[], ["notes.txt"]])
def test_what_is_cleared_is_gone_and_nothing_else(
    others: list[str], config: TrialConfig, data: TrainingData, tmp_path: Path
) -> None:
    folder = tmp_path / "saves"
    autosave = Autosave(TrainingRun(config, data), folder)
    autosave.save()
    for name in others:
        (folder / name).touch()

    autosave.clear()

    assert folder.exists() == bool(others)
    assert not others or [path.name for path in folder.iterdir()] == others
