"""Laws of what stands for a configuration."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from sepl.tuning.search.proposals.axes import Axes, Axis, random_numbers


@st.composite
def distributions(draw: st.DrawFn) -> BaseDistribution:
    kind = draw(st.sampled_from(["float", "log", "step", "int", "log int", "int step", "choice"]))
    low = draw(st.integers(1, 20))
    high = low + draw(st.integers(0, 30))
    if kind == "choice":
        return CategoricalDistribution(draw(st.sampled_from([("a",), ("a", "b", "c"), (True, False), (1, None, 2.5)])))
    if kind in ("float", "log"):
        return FloatDistribution(low / 10, high / 10, log=kind == "log")
    if kind == "step":
        return FloatDistribution(0.0, high * 0.25, step=0.25)
    if kind == "int step":
        return IntDistribution(low, low + 3 * (high - low), step=3)
    return IntDistribution(low, high, log=kind == "log int")


def is_offered(distribution: BaseDistribution, value: object) -> bool:
    """As Optuna has it, which warns or raises of another one."""
    create_trial(state=TrialState.WAITING, params={"p": value}, distributions={"p": distribution})
    return True


@given(distribution=distributions(), seed=st.integers(0, 1000))
def test_what_is_drawn_and_what_is_near_it_is_offered(distribution: BaseDistribution, seed: int) -> None:
    axis, rng = Axis(distribution), np.random.default_rng(seed)

    drawn = axis.draw(rng, 5)
    near = axis.near(drawn, rng, 0.3)

    assert all(is_offered(distribution, axis.value(code)) for code in (*drawn, *near))


@given(distribution=distributions(), seed=st.integers(0, 1000))
def test_a_value_is_that_of_its_code(distribution: BaseDistribution, seed: int) -> None:
    axis = Axis(distribution)
    value = axis.value(axis.draw(np.random.default_rng(seed), 1)[0])

    again = axis.value(axis.code(value))

    assert again == (pytest.approx(value) if isinstance(value, float) else value)
    assert type(again) is type(value)


@given(distribution=distributions().filter(lambda offered: isinstance(offered, IntDistribution)))
def test_the_ends_of_a_range_are_drawn_too(distribution: BaseDistribution) -> None:
    assert isinstance(distribution, IntDistribution)

    assert (Axis(distribution).value(0.0), Axis(distribution).value(1.0)) == (distribution.low, distribution.high)


@pytest.mark.parametrize("value", ["x", None, True, 11, -1, math.nan])
def test_what_is_not_offered_has_no_code(value: object) -> None:
    assert math.isnan(Axis(IntDistribution(0, 10)).code(value))


SPACE = Axes({"rate": FloatDistribution(1e-4, 1.0, log=True), "kind": CategoricalDistribution(["a", "b", "c"])})


def test_what_was_not_asked_is_absent_and_comes_back_so() -> None:
    codes_NP = SPACE.codes([{"rate": 1e-2, "kind": "b"}, {"kind": "c"}, {}])

    assert [SPACE.params(codes_P) for codes_P in codes_NP] == [
        {"kind": "b", "rate": pytest.approx(1e-2)},
        {"kind": "c"},
        {},
    ]


def test_features_are_finite_and_have_a_column_a_choice() -> None:
    features_NF = SPACE.features(SPACE.codes([{"rate": 1e-2, "kind": "b"}, {}]))

    np.testing.assert_allclose(features_NF, [[0, 1, 0, 0.5], [0, 0, 0, -1]])


def test_a_distance_is_the_mean_over_hyperparameters() -> None:
    first_NP = SPACE.codes([{"rate": 1.0, "kind": "a"}])
    others_MP = SPACE.codes([{"rate": 1.0, "kind": "a"}, {"rate": 1e-2, "kind": "a"}, {"rate": 1.0, "kind": "b"}, {}])

    np.testing.assert_allclose(SPACE.distances(first_NP, others_MP), [[0.0, 0.25, 0.5, 1.0]])


def test_random_numbers_hang_on_seed_trial_and_purpose_alone() -> None:
    drawn = {random_numbers(*key).random() for key in [(0, 1, ""), (1, 0, ""), (0, 1, "x"), (0, 1, "y"), (0, 1, "")]}

    assert len(drawn) == 4
