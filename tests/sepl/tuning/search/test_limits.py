"""What a limit lets pass."""

from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from sepl.errors import ConfigError, StudyError
from sepl.tuning.record.costs import Cost
from sepl.tuning.search.limits import MOST_IN_A_ROW, REFUSED, Gate, Limits


def measure(params: dict[str, Any]) -> Cost:
    """As many parameters as the width, and a hundredth of it in ms."""
    return Cost(num_parameters=params["width"], ms_per_photograph=params["width"] / 100)


def asking(widths: list[int]) -> tuple[optuna.Study, Any]:
    study = optuna.create_study(direction="maximize")
    for width in widths:
        study.enqueue_trial({"width": width})

    def ask() -> tuple[optuna.Trial, dict[str, Any]]:
        trial = study.ask()
        return trial, {"width": trial.suggest_int("width", 1, 1000)}

    return study, ask


@pytest.mark.parametrize(
    ("limits", "breach"),
    [
        (Limits(), None),
        (Limits(max_parameters=250), None),
        (Limits(max_parameters=249), "250 parameters are above --max-parameters 249"),
        (Limits(max_ms_per_photograph=2.5), None),
        (Limits(max_ms_per_photograph=2.4), "2.5 ms per photograph are above --max-ms-per-photograph 2.4"),
    ],
)
def test_a_cost_breaks_a_limit_that_it_is_above(limits: Limits, breach: str | None) -> None:
    told = limits.breach(measure({"width": 250}))

    assert told is None if breach is None else told is not None and breach in told
    assert bool(limits) == (limits != Limits())


def test_the_first_configuration_within_the_limits_passes_and_those_before_fail_with_the_reason() -> None:
    study, ask = asking([800, 900, 100])

    trial, params = Gate(Limits(max_parameters=200), measure).first_within(study, ask)

    assert params == {"width": 100}
    assert [other.state for other in study.trials] == [TrialState.FAIL, TrialState.FAIL, TrialState.RUNNING]
    assert study.trials[0].user_attrs["failure"] == "refused: 800 parameters are above --max-parameters 200"
    assert study.trials[0].user_attrs[REFUSED] is True
    assert trial.user_attrs["num_parameters"] == 100
    assert trial.user_attrs["ms_per_photograph"] == 1.0


def test_an_impossible_limit_ends_with_one_line() -> None:
    study, ask = asking([])

    with pytest.raises(StudyError, match=f"{MOST_IN_A_ROW} configurations in a row were refused") as refusal:
        Gate(Limits(max_ms_per_photograph=0.001), measure).first_within(study, ask)

    assert "\n" not in str(refusal.value)
    assert len(study.trials) == MOST_IN_A_ROW


def test_what_cannot_be_built_passes_and_fails_as_a_trial() -> None:
    def fail(params: dict[str, Any]) -> Cost:
        raise ConfigError(f"num_experts should be at least 1, was {params}")

    study, ask = asking([5])

    assert Gate(Limits(max_parameters=1), fail).first_within(study, ask)[1] == {"width": 5}
