"""Laws of every sampler."""

from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState
from writers.planted_searches import ask_quadratic, new_study, quadratic

from sepl.errors import ConfigError
from sepl.tuning.search.proposals import PriorTrial, make_sampler

NAMES = ("tpe", "tpe_rank", "cqr", "random")
OURS = ("tpe_rank", "cqr")
PRIOR = [PriorTrial({"x": 0.3, "y": 0.01, "kind": "b", "width": 6}, 1.0), PriorTrial({"x": 0.9}, 0.1)]


def proposals(sampler: optuna.samplers.BaseSampler, num_trials: int) -> list[dict[str, Any]]:
    study = new_study(sampler)
    for _ in range(num_trials):
        trial = study.ask()
        ask_quadratic(trial)
        study.tell(trial, quadratic(trial.params))
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("prior", [(), PRIOR])
def test_the_same_seed_and_history_give_the_same_proposals(name: str, prior: list[PriorTrial]) -> None:
    first, second, other = (proposals(make_sampler(name, seed=seed, prior=prior), 16) for seed in (3, 3, 4))

    assert first == second
    assert first != other


@pytest.mark.parametrize("name", OURS)
def test_a_sampler_that_begins_in_the_middle_proposes_what_one_from_the_start_does(name: str) -> None:
    study = new_study(make_sampler(name, seed=0))
    for _ in range(14):
        trial = study.ask()
        ask_quadratic(trial)
        study.tell(trial, quadratic(trial.params))
    again = new_study(make_sampler(name, seed=0, num_earlier=14))
    again.add_trials(study.trials)

    trials = study.ask(), again.ask()
    for trial in trials:
        ask_quadratic(trial)

    assert trials[0].params == trials[1].params


def test_tpe_proposes_as_optunas_does() -> None:
    assert proposals(make_sampler("tpe", seed=5), 15) == proposals(optuna.samplers.TPESampler(seed=5), 15)


def test_another_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="sampler should be one of tpe, random, tpe_rank, cqr, was 'best'"):
        make_sampler("best", seed=0)


# A hyperparameter: its kind, and the choice of the first one under which alone it is asked (or always).
_SPACE = st.lists(
    st.tuples(st.sampled_from(["float", "log", "int", "choice"]), st.sampled_from(["a", "b", None])),
    min_size=1,
    max_size=5,
)


def ask(trial: optuna.Trial, space: list[tuple[str, str | None]]) -> None:
    branch = trial.suggest_categorical("branch", ["a", "b"])
    for number, (kind, only) in enumerate(space):
        if only in (None, branch):
            name = f"p{number}"
            if kind == "choice":
                trial.suggest_categorical(name, [True, "x", 3])
            elif kind == "int":
                trial.suggest_int(name, 1, 9, step=2)
            else:
                trial.suggest_float(name, 0.1, 2.0, log=kind == "log")


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("prior", [(), [PriorTrial({"p0": 1.0, "branch": "b"}, 1.0)]])
@settings(max_examples=8)
@given(space=_SPACE, seed=st.integers(0, 99))
def test_all_proposals_lie_in_the_space_whatever_became_of_the_trials(
    name: str, prior: list[PriorTrial], space: list[tuple[str, str | None]], seed: int
) -> None:
    study = new_study(make_sampler(name, seed=seed, prior=prior))
    for number in range(16):
        trial = study.ask()
        ask(trial, space)  # Optuna refuses a value that a range does not have
        if number % 5 == 4:
            trial.set_user_attr("crashed", number % 2 == 0)
            study.tell(trial, state=TrialState.FAIL)
        elif number % 5 == 3:
            trial.report(number / 10, 1)
            study.tell(trial, state=TrialState.PRUNED)
        elif number % 5 < 2:
            study.tell(trial, float(number))

    assert len(study.trials) == 16
