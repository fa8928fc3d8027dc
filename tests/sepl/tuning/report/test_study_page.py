"""Hours add up over trials in the order that they ended; what begins also ends."""

import itertools
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial

from sepl.tuning.record.attributes import SECONDS, SHARE
from sepl.tuning.report.study_page import OF_TRIALS, hours_spent, running_at_once

BEGIN = datetime(2026, 1, 1)
SPANS = st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(0.01, 5.0)), min_size=1, max_size=8)


def trial(begun: float, hours: float, number: int = 0, **attributes: Any) -> Any:
    frozen = create_trial(
        state=TrialState.PRUNED, intermediate_values={1: 0.1}, user_attrs={SECONDS: hours * 3600, **attributes}
    )
    frozen.number = number
    frozen.datetime_start = BEGIN + timedelta(hours=begun)
    frozen.datetime_complete = BEGIN + timedelta(hours=begun + hours)
    return frozen


@given(SPANS)
def test_the_area_under_the_occupancy_is_the_time_of_all_trials(spans: list[tuple[float, float]]) -> None:
    steps = running_at_once([trial(begun, hours) for begun, hours in spans], BEGIN)

    area = sum(running * (after - before) for (before, running), (after, _) in itertools.pairwise(steps))
    assert area == pytest.approx(sum(hours for _, hours in spans), abs=1e-6)
    assert steps[0][0] == 0.0
    assert steps[-1][1] == 0
    assert min(running for _, running in steps) >= 0


def test_a_trial_that_runs_is_there_until_now_and_one_that_waits_is_not() -> None:
    running, waiting = trial(0.0, 1.0), trial(0.0, 1.0)
    running.state, running.datetime_complete = TrialState.RUNNING, None
    waiting.state, waiting.datetime_complete = TrialState.WAITING, None

    assert running_at_once([running, waiting], BEGIN + timedelta(hours=3)) == [(0.0, 1), (3.0, 0)]
    assert running_at_once([waiting], BEGIN) == []


@given(SPANS, st.sampled_from([("gpus", "GPU-hours"), ("cpus", "CPU-hours"), (None, OF_TRIALS)]))
def test_hours_add_up_in_the_order_that_trials_ended(
    spans: list[tuple[float, float]], resource: tuple[str | None, str]
) -> None:
    kind, expected = resource
    share = {SHARE: {"cpus": 1, kind: 2}} if kind else {}
    trials = [trial(begun, hours, number, **share) for number, (begun, hours) in enumerate(spans)]

    unit, spent = hours_spent(trials)

    ends = {one.number: one.datetime_complete for one in trials}
    assert unit == expected
    assert [ends[one.number] for one in spent] == sorted(ends.values())
    assert spent[-1].hours == pytest.approx(sum(hours for _, hours in spans) * (2 if kind else 1))
