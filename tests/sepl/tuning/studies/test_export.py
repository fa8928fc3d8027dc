"""What is exported is what Optuna holds."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from optuna.trial import TrialState

from sepl.errors import ConfigError
from sepl.storage import resolve
from sepl.tuning.studies.export import export_trials


def read(place: Path) -> pd.DataFrame:
    if place.suffix == ".csv":
        return pd.read_csv(place)
    with pq.ParquetFile(place) as file:
        return file.read().to_pandas()


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_row_a_trial_and_a_row_an_epoch(made: Any, tmp_path: Path, kind: str) -> None:
    trials, epochs = export_trials(made.storage, "made", resolve(tmp_path / f"out.{kind}"))

    table, curves = read(trials.local_path()), read(epochs.local_path())
    assert table["state"].tolist() == ["COMPLETE", "COMPLETE", "PRUNED", "FAIL"]
    assert table["seconds"].tolist() == [360.0] * 4
    assert table["param_learning_rate"].tolist() == [1e-3] * 4
    assert table["attr_failure"].tolist()[-1] == "diverged"
    expected = [
        (trial.number, epoch, value)
        for trial in made.study.trials
        for epoch, value in trial.intermediate_values.items()
    ]
    assert list(curves.itertuples(index=False, name=None)) == expected


def test_hyperparameters_of_several_kinds_are_a_column_of_text(made: Any, tmp_path: Path) -> None:
    made.add(TrialState.PRUNED, [0.1], note="text")
    made.add(TrialState.PRUNED, [0.1], note=3)
    made.add(TrialState.PRUNED, [0.1], note=[1, 2])

    trials, _ = export_trials(made.storage, "made", resolve(tmp_path / "out.parquet"))

    assert read(trials.local_path())["attr_note"].tolist()[-3:] == ["text", "3", "[1, 2]"]


def test_another_ending_is_refused(made: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--out should end in .parquet or .csv, was .*out.xlsx"):
        export_trials(made.storage, "made", resolve(tmp_path / "out.xlsx"))
