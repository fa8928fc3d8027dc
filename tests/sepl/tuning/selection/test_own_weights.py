"""A trial's own weights are those of its best epoch."""

from pathlib import Path
from typing import Any

from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.storage import resolve
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun
from sepl.tuning.selection.own_weights import own_weights


def test_they_are_read_as_they_were_kept(dataset: PreparedDataset, tmp_path: Path, params: dict[str, Any]) -> None:
    config = TrialConfig.from_params(params)
    run = TrainingRun(config, TrainingData.load(dataset))
    run.run_epoch()
    run.save(tmp_path / "checkpoint")

    state = own_weights(config, dataset, resolve(tmp_path), str(tmp_path / "checkpoint"))

    assert all(value.equal(run.best_state()[name]) for name, value in state.items())
