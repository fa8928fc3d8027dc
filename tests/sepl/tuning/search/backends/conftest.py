"""A table of curves and searches of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import RandomSampler
from writers.curve_tables import write_table

from sepl.tuning.search.backends.curve_table import CurveTable, TableSpace
from sepl.tuning.search.backends.loop import SearchLoop
from sepl.tuning.search.backends.simulated import SimulatedBackend
from sepl.tuning.search.schedulers.base import Scheduler
from sepl.tuning.search.searcher import TruthfulOptunaSearch


@pytest.fixture
def table(tmp_path: Path) -> CurveTable:
    return CurveTable.read(write_table(tmp_path / "table.parquet", 60))


@pytest.fixture
def make_loop() -> Callable[..., tuple[SearchLoop, TruthfulOptunaSearch, SimulatedBackend]]:
    def make(
        table: CurveTable, scheduler: Scheduler, *, num_new: int, num_workers: int = 1, **more: Any
    ) -> tuple[SearchLoop, TruthfulOptunaSearch, SimulatedBackend]:
        storage = optuna.storages.InMemoryStorage()
        searcher = TruthfulOptunaSearch(
            TableSpace(table, storage), num_epochs=table.num_epochs, storage=storage, study_name="simulated"
        )
        searcher.study.sampler = RandomSampler(seed=0)
        backend = SimulatedBackend(table.curves, num_workers=num_workers)
        return SearchLoop(backend, searcher, scheduler, num_new=num_new, **more), searcher, backend

    return make
