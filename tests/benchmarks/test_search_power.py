"""The comparison of searches runs on any table of its form."""

import json
import sys
from pathlib import Path

import pytest
from writers.curve_tables import NUM_EPOCHS, write_table

from benchmarks import search_power


def test_every_way_is_measured_and_compared_with_stock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, out = write_table(tmp_path / "table.parquet", 20), tmp_path / "out.json"
    options = ["--table", str(table), "--json", str(out), "--num-seeds", "3", "--scheduler", "promotion"]
    monkeypatch.setattr(sys, "argv", ["search_power", *options])

    search_power.main()

    result = json.loads(out.read_text())
    ways = result["measured"]["ways"]
    assert set(ways) == {"random + ASHA", "stock OptunaSearch + ASHA", "1 epoch, then top k", "ours"}
    assert ways["1 epoch, then top k"]["num_reached"] == 3
    assert ways["1 epoch, then top k"]["epochs"]["value"] >= 20
    assert all(0 < way["epochs"]["value"] <= 20 * NUM_EPOCHS for way in ways.values())
    assert result["ratio"] == ways["ours"]["epochs"]["value"] / ways["stock OptunaSearch + ASHA"]["epochs"]["value"]
