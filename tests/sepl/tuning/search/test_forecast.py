"""A search at a steady pace ends when and costs what was forecast."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.tuning.search.budget import Budget, Limit
from sepl.tuning.search.forecast import Forecast, Pace, describe_cost_ahead
from sepl.tuning.search.spending import Meter

HOURS = st.floats(0.1, 50.0)


def metered(hours: float, price: float | None = None, limits: tuple[Limit, ...] = (), per_trial: float = 1.0) -> Budget:
    return Budget(limits=limits, meter=Meter("GPU", per_trial, hours * 3600, price))


@given(seconds=st.floats(1.0, 1e4), num_done=st.integers(1, 50), num_left=st.integers(0, 50), at_once=st.integers(1, 8))
def test_at_a_steady_pace_time_and_money_are_proportional(
    seconds: float, num_done: int, num_left: int, at_once: int
) -> None:
    used = seconds * at_once / 3600

    ahead = Pace(5.0).forecast(metered(5.0 + used, price=2.0), seconds, num_done, num_left)

    assert ahead.seconds_left == pytest.approx(seconds * num_left / num_done)
    assert ahead.hours == pytest.approx(5.0 + used * (1 + num_left / num_done))
    assert ahead.money == pytest.approx(2.0 * (ahead.hours or 0.0))


@given(left=HOURS, at_once=st.integers(1, 8), per_trial=st.sampled_from([0.25, 1.0, 2.0]))
def test_the_first_budget_to_be_spent_ends_it(left: float, at_once: int, per_trial: float) -> None:
    """In an hour so many trials at once have used their units; a limit of hours is gone after left / that."""
    used = at_once * per_trial
    budget = metered(used, limits=(Limit(left * 3600, per_trial, "spent"),), per_trial=per_trial)

    ahead = Pace(0.0).forecast(budget, 3600.0, num_done=1, num_left=10_000)

    assert ahead.seconds_left == pytest.approx(3600 * left / used)
    assert ahead.hours == pytest.approx(used + left)


def test_nothing_is_known_before_anything_has_happened() -> None:
    assert Pace(0.0).forecast(metered(0.0), 10.0, 0, 5) == Forecast(None)
    assert Pace(0.0).forecast(Budget(), 10.0, 1, 5) == Forecast(50.0)


@pytest.mark.parametrize(
    ("ahead", "text"),
    [
        (Forecast(None), ""),
        (Forecast(5.0, 1.3), "1.30 GPU-hours by then"),
        (Forecast(5.0, 1.3, 3.9), "1.30 GPU-hours by then, which cost 3.90"),
    ],
)
def test_costs_are_told_as_far_as_they_are_known(ahead: Forecast, text: str) -> None:
    assert describe_cost_ahead(ahead, "GPU") == text
