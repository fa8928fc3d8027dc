"""What a search costs until it is good enough."""

from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.trial import TrialState
from writers.curve_tables import NUM_EPOCHS, write_table

from benchmarks.support.search_arms import Arm, Search, cost_until, our_sampler, our_scheduler, rays_asha, rivals
from sepl.tuning.search.backends.curve_table import CurveTable


@pytest.fixture
def table(tmp_path: Path) -> CurveTable:
    return CurveTable.read(write_table(tmp_path / "table.parquet", 20))


def test_a_goal_that_the_first_epoch_reaches_costs_an_epoch(table: CurveTable) -> None:
    cost = cost_until(rivals()["random + ASHA"], table, -1.0, seed=0, num_workers=1)

    assert (cost.epochs, cost.is_reached) == (1, True)
    assert 1.0 <= cost.seconds <= 3.0


def test_a_goal_that_no_setting_reaches_costs_the_whole_table(table: CurveTable) -> None:
    cost = cost_until(rivals()["random + ASHA"], table, 2.0, seed=0, num_workers=2)

    assert (cost.epochs, cost.is_reached) == (20 * NUM_EPOCHS, False)


@pytest.mark.parametrize("make", [our_scheduler("asha"), our_scheduler("pasha", "auto"), rays_asha])
def test_the_same_seed_costs_the_same(table: CurveTable, make: Callable[..., object]) -> None:
    arm = Arm(make, our_sampler("tpe"))  # type: ignore[arg-type]

    costs = [cost_until(arm, table, 0.9, seed=1, num_workers=3) for _ in range(2)]

    assert costs[0] == costs[1]


def test_stock_is_told_that_stopped_trials_are_complete(table: CurveTable) -> None:
    search = Search(rivals()["stock OptunaSearch + ASHA"], table, seed=0, num_workers=1)
    search.loop.run()

    assert {trial.state for trial in search.searcher.study.trials} == {TrialState.COMPLETE}
    assert any(not trial.intermediate_values for trial in search.searcher.study.trials)  # it forgets the last
