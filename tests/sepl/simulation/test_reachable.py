import numpy as np
import pytest

from sepl.simulation.channels import CHANNEL_NAMES, draw_channels
from sepl.simulation.derive.reachable import channels_of, factor_skill
from sepl.simulation.factors import FACTORS, nhanes_factor_model
from sepl.simulation.reachable import reachable_skill
from sepl.tasks import TASK_SPLITS

TARGETS = [name for name in FACTORS if name not in TASK_SPLITS["anthropometric"]]


@pytest.mark.parametrize("name", ["age", "creatinine"])
def test_the_committed_figures_are_those_of_the_channels_as_they_are_now(name: str) -> None:
    rng = np.random.default_rng(1)
    rows = nhanes_factor_model().draw(10_000, rng)
    shown_NC = draw_channels(rows, rng).mean(axis=1)

    measured = factor_skill(name, rows, shown_NC, num_learned=6000)

    # fewer people learned from than for the committed figures: a little less is learned
    assert measured.reachable == pytest.approx(reachable_skill().skills[name].reachable, abs=0.035)


def test_every_factor_can_be_read_and_none_exactly() -> None:
    skills = reachable_skill().skills

    assert set(skills) == set(FACTORS)
    assert all(0.3 < skills[name].reachable < 0.9 for name in FACTORS if name != "sex")
    assert skills["sex"].reachable < 0.99


@pytest.mark.parametrize("name", TARGETS)
def test_photographs_say_more_of_a_target_than_the_true_priors_do(name: str) -> None:
    skill = reachable_skill().skills[name]

    assert skill.true_priors is not None
    assert skill.reachable > skill.true_priors + 0.2


def test_knowing_whose_eye_it_is_makes_a_targets_channels_say_more() -> None:
    skills = [reachable_skill().skills[name] for name in TARGETS]
    gains = [(skill.own_channels_and_true_priors or 0) - (skill.own_channels or 0) for skill in skills]

    assert min(gains) > -0.01
    assert np.mean(gains) > 0.08


def test_a_factors_own_channels_are_found() -> None:
    names = np.array(CHANNEL_NAMES)

    assert list(names[channels_of("creatinine")]) == ["fundus_pallor"]
    assert list(names[channels_of("dbp")]) == ["artery_narrowing"]
    assert not channels_of("waist").any()
