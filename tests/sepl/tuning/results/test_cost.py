"""What trials have cost."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial

from sepl.tuning.record.attributes import FROM_STUDY, SECONDS, SHARE
from sepl.tuning.results.cost import Cost, cost

SECONDS_OF = st.lists(st.floats(0.0, 1e5), max_size=8)


def trial(**attributes: Any) -> Any:
    return create_trial(state=TrialState.FAIL, user_attrs=attributes)


@given(seconds=SECONDS_OF, cpus=st.integers(1, 64), gpus=st.sampled_from([0.0, 0.25, 1.0]))
def test_hours_are_seconds_times_the_share(seconds: list[float], cpus: int, gpus: float) -> None:
    spent = cost([trial(**{SECONDS: one, SHARE: {"cpus": cpus, "gpus": gpus}}) for one in seconds])

    assert spent.seconds == sum(seconds)
    assert abs(spent.cpu_hours * 3600 - sum(seconds) * cpus) <= 1e-6 * (1 + sum(seconds) * cpus)
    assert abs(spent.gpu_hours * 3600 - sum(seconds) * gpus) <= 1e-6 * (1 + sum(seconds) * gpus)


def test_another_studys_trials_cost_nothing_here() -> None:
    assert cost([trial(**{SECONDS: 10.0, FROM_STUDY: "before"})]) == Cost()


def test_what_is_paid_for_are_gpus_where_there_are_some() -> None:
    assert (Cost(cpu_hours=4.0).unit, Cost(cpu_hours=4.0).hours) == ("CPU", 4.0)
    assert (Cost(cpu_hours=4.0, gpu_hours=1.0).unit, Cost(cpu_hours=4.0, gpu_hours=1.0).hours) == ("GPU", 1.0)
