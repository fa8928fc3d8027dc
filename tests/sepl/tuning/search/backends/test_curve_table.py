"""Searching in settings that were trained before."""

from pathlib import Path

import optuna
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from writers.curve_tables import NUM_EPOCHS, end_skill, write_table

from sepl.errors import ConfigError
from sepl.tuning.search.backends.curve_table import CurveTable, Distances, TableSpace


def test_a_table_is_read_with_its_space(table: CurveTable) -> None:
    assert table.space == {
        "backbone": CategoricalDistribution(["small", "large"]),
        "rate": FloatDistribution(1e-4, 1e-1, log=True),
    }
    assert (len(table.params), table.num_epochs) == (60, NUM_EPOCHS)
    assert table.best_skill == max(end_skill(config) for config in range(60))
    assert table.curves[4].seconds[0] == 2.0


def test_a_table_that_names_no_space_has_that_of_its_columns(tmp_path: Path) -> None:
    table = CurveTable.read(write_table(tmp_path / "table.parquet", 10, is_named=False))

    rate = table.space["rate"]
    assert table.space["backbone"] == CategoricalDistribution(["large", "small"])
    assert isinstance(rate, FloatDistribution)
    assert (rate.log, rate.low) == (True, 1e-4)


def test_a_table_without_a_column_is_refused_by_its_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"config": [0], "params.x": [1], "epoch": [1], "seconds": [1.0]}), tmp_path / "t.parquet")

    with pytest.raises(ConfigError, match=r"should have the column best_skill, has none$"):
        CurveTable.read(tmp_path / "t.parquet")


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_text("no table")

    with pytest.raises(ConfigError, match=r"^--table should be a Parquet table of curves"):
        CurveTable.read(tmp_path / "t.parquet")


def test_distances_count_choices_and_ranges_alike_and_rates_in_logarithms() -> None:
    space = {
        "backbone": CategoricalDistribution(["a", "b", "c"]),
        "rate": FloatDistribution(1e-4, 1e-2, log=True),
        "experts": IntDistribution(1, 5),
    }
    distances = Distances(space, [{"backbone": "a", "rate": 1e-3, "experts": 1}, {"backbone": "c", "rate": 1e-4}])

    assert distances({"backbone": "c", "rate": 1e-4, "experts": 5}) == pytest.approx([1 + 0.5 + 1, 0.0])


def test_a_proposal_becomes_the_nearest_setting_that_was_not_tried_and_optuna_knows(table: CurveTable) -> None:
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage)
    space = TableSpace(table, storage)
    rows = []
    for _ in range(2):
        study.enqueue_trial({"backbone": "small", "rate": 1e-4})
        rows.append(space(study.ask())["row"])

    assert rows == [0, 2]
    assert [trial.params for trial in study.trials] == [table.params[row] for row in rows]


def test_every_setting_is_tried_once(table: CurveTable) -> None:
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=0))
    space = TableSpace(table, storage)

    rows = [space(study.ask())["row"] for _ in range(60)]

    assert sorted(rows) == list(range(60))
