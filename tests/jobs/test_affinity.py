"""Affinity end to end: measured, written, told."""

from pathlib import Path

import pytest
from builders import build_dataset

from jobs import affinity
from sepl.training.affinity.record import Affinity


def test_the_file_and_the_table_tell_the_same_ranking(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = build_dataset(tmp_path, num_patients=60)
    config = tmp_path / "trial.json"
    config.write_text(
        '{"model": {"family": "hard_sharing", "backbone": "test_resnet"},'
        ' "training": {"num_epochs": 3, "batch_size": 16, "learning_rate": 3e-3}}'
    )

    affinity.main(dataset.uri, config, str(tmp_path / "affinity.json"), every=3, device="cpu")

    measured = Affinity.parse_json((tmp_path / "affinity.json").read_text(), "affinity.json")
    told = capsys.readouterr().out
    assert measured.tasks == dataset.tasks.names
    assert measured.fingerprint == dataset.fingerprint
    assert measured.num_measurements > 0
    assert measured.splits[0].task_split in told
