"""Hours and money: what is left of them after any number of drivers is what one driver would have left."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial

from sepl.errors import ConfigError
from sepl.tuning.record.attributes import FROM_STUDY, SECONDS, SHARE
from sepl.tuning.search.spending import make_budget, make_meter
from sepl.tuning.settings import StudySettings


def settings(**changes: Any) -> StudySettings:
    return StudySettings(data="", space="", storage="", study="first", **changes)


def ran(seconds: float, **attributes: Any) -> Any:
    return create_trial(state=TrialState.FAIL, user_attrs={SECONDS: seconds, **attributes})


@given(
    seconds=st.lists(st.floats(0.0, 5000.0), min_size=1, max_size=6),
    cut=st.integers(0, 6),
    gpus=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_sums_survive_another_driver(seconds: list[float], cut: int, gpus: float) -> None:
    """The first `cut` trials were an earlier driver's: what is left and what is paid is as if there had been one."""
    asked = {"gpu_hours" if gpus else "cpu_hours": 1.0, "price_per_hour": 2.0, "max_cost": 3.0}
    before = [ran(one, **{SHARE: {"cpus": 2, "gpus": gpus}}) for one in seconds[:cut]]
    resumed, one = (make_budget(settings(**asked), None, trials, cpus=2, gpus=gpus) for trials in (before, []))
    for place, spent in enumerate(seconds):
        one("a", {"best_skill": 0.1, "time_this_iter_s": spent})
        if place >= cut:
            resumed("a", {"best_skill": 0.1, "time_this_iter_s": spent})

    assert [limit.left for limit in resumed.limits] == pytest.approx([limit.left for limit in one.limits], abs=1e-6)
    assert resumed.meter is not None
    assert one.meter is not None
    assert resumed.meter.hours == pytest.approx(one.meter.hours)
    assert resumed.meter.hours == pytest.approx(sum(seconds) * (gpus or 2) / 3600)
    assert resumed.meter.money(resumed.meter.hours) == pytest.approx(2.0 * resumed.meter.hours)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"cpu_hours": 1.0}, "the CPU budget is spent"),
        ({"price_per_hour": 0.5, "max_cost": 0.5}, "the money is spent"),
    ],
)
def test_what_is_spent_stops_the_search(asked: dict[str, float], reason: str) -> None:
    budget = make_budget(settings(**asked), None, [], cpus=2, gpus=0)
    budget("a", {"best_skill": 0.1, "time_this_iter_s": 1700.0})
    before = budget.reason

    budget("a", {"best_skill": 0.1, "time_this_iter_s": 200.0})

    assert (before, budget.reason) == (None, reason)


def test_the_share_spent_is_that_of_the_limit_furthest_spent() -> None:
    budget = make_budget(settings(cpu_hours=2.0, price_per_hour=1.0, max_cost=1.0), None, [], cpus=1, gpus=0)

    budget("a", {"best_skill": 0.1, "time_this_iter_s": 1800.0})

    assert budget.share_spent == pytest.approx(0.5)


def test_a_trial_without_a_share_had_what_trials_have_now_and_another_studys_cost_nothing() -> None:
    meter = make_meter(settings(), [ran(3600.0), ran(3600.0, **{FROM_STUDY: "before"})], cpus=4, gpus=0)

    assert (meter.unit, meter.hours, meter.money(meter.hours)) == ("CPU", 4.0, None)


@pytest.mark.parametrize(
    ("option", "gpus", "message"),
    [
        ("gpu_hours", 0.0, "--gpu-hours should be left out where there is no GPU, was 1.0"),
        ("cpu_hours", 1.0, "--cpu-hours should be left out where trials have GPUs"),
    ],
)
def test_hours_of_what_trials_do_not_have_are_refused(option: str, gpus: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_budget(settings(**{option: 1.0}), None, [], cpus=1, gpus=gpus)
