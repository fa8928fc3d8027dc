"""Which trials no other beats."""

from typing import Any

import optuna
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from sepl.tuning.report.pareto import CostedTrial, cost_section, costed_trials, pareto_figure, pareto_front

_TRIALS = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9), st.booleans()), max_size=20)


@given(drawn=_TRIALS)
def test_the_front_is_of_full_runs_that_none_beats(drawn: list[tuple[int, int, bool]]) -> None:
    trials = [
        CostedTrial(number, skill / 10, float(cost), is_complete)
        for number, (skill, cost, is_complete) in enumerate(drawn)
    ]

    front = pareto_front(trials)

    full = [trial for trial in trials if trial.is_complete]
    for trial in front:
        assert not any(other.skill > trial.skill and other.cost <= trial.cost for other in full)
        assert not any(other.skill >= trial.skill and other.cost < trial.cost for other in full)
    assert bool(front) == bool(full)
    assert [trial.cost for trial in front] == sorted({trial.cost for trial in front})


def study(*, costed: bool) -> optuna.Study:
    made = optuna.create_study(direction="maximize")
    for number in range(4):
        made.add_trial(
            create_trial(
                state=TrialState.PRUNED if number == 3 else TrialState.COMPLETE,
                value=None if number == 3 else number / 10,
                params={"x": 0.5},
                distributions={"x": FloatDistribution(0.0, 1.0)},
                intermediate_values={1: number / 20, 2: number / 10},
                user_attrs={"num_parameters": 1000 * (number + 1), "ms_per_photograph": 2.5 * (number + 1)}
                if costed
                else {},
            )
        )
    return made


def test_the_section_shows_both_costs_and_the_front() -> None:
    section = str(cost_section(study(costed=True)))

    assert "Skill against cost" in section
    assert "3,000" in section
    assert "4,000" not in section.partition("<table")[2]


def test_without_costs_there_is_no_section() -> None:
    assert cost_section(study(costed=False)) == ""


def test_a_figure_has_all_trials_and_a_line_through_the_front() -> None:
    trials = costed_trials(study(costed=True), "num_parameters")

    pruned, full, front = _traces(trials)

    assert list(pruned.x) == [4000]
    assert list(full.y) == [0.0, 0.1, 0.2]
    assert list(front.x) == [1000, 2000, 3000]


def _traces(trials: list[CostedTrial]) -> list[Any]:
    return list(pareto_figure(trials, "parameters").data)
