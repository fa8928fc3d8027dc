from pathlib import Path

import numpy as np
import pytest

from sepl.simulation.channels import (
    CHANNEL_NAMES,
    CHANNELS,
    LIMIT,
    draw_channels,
    expected_channels,
    filtration_rate,
)
from sepl.simulation.factors import FACTORS, nhanes_factor_model


def _person(**changes: float) -> dict[str, np.ndarray]:
    usual = {"sex": 1, "age": 50, "height": 170, "weight": 75, "bmi": 26, "waist": 92, "sbp": 124, "dbp": 70}
    usual |= {"total_cholesterol": 195, "glucose": 95, "triglycerides": 110, "hba1c": 5.5, "bun": 13}
    usual |= {"creatinine": 0.9, "uric_acid": 5.4}
    return {name: np.array([float((usual | changes)[name])]) for name in FACTORS}


def _channel(name: str, **changes: float) -> float:
    return float(expected_channels(_person(**changes))[0, CHANNEL_NAMES.index(name)])


@pytest.mark.parametrize(("sex", "age", "creatinine", "rate"), [(1, 60, 1.0, 86), (0, 50, 0.7, 105), (0, 30, 1.5, 48)])
def test_filtration_rate_is_that_of_published_calculators(sex: int, age: int, creatinine: float, rate: float) -> None:
    person = _person(sex=sex, age=age, creatinine=creatinine)

    assert filtration_rate(person)[0] == pytest.approx(rate, abs=1)


def test_arteries_answer_to_pressure_less_with_age_as_measured_in_beaver_dam() -> None:
    slopes = [
        _channel("artery_narrowing", age=age, sbp=134, dbp=80) - _channel("artery_narrowing", age=age)
        for age in (48.5, 79.5)
    ]

    assert slopes[1] / slopes[0] == pytest.approx(2.5 / 7.0, rel=0.1)


def test_one_creatinine_is_another_pallor_in_a_woman_and_in_an_older_man() -> None:
    young_man = _channel("fundus_pallor", creatinine=1.0, age=30)

    assert _channel("fundus_pallor", creatinine=1.0, age=70) > young_man + 0.5
    assert _channel("fundus_pallor", creatinine=1.0, age=30, sex=0) > young_man + 0.5


@pytest.mark.parametrize("name", [name for name in FACTORS if name not in ("weight", "waist")])
def test_every_factor_but_weight_and_waist_moves_a_channel_by_itself(name: str) -> None:
    higher = 0.0 if name == "sex" else float(_person()[name][0]) * 1.2

    moved = expected_channels(_person(**{name: higher})) - expected_channels(_person())

    assert np.abs(moved).max() > 0.2


def test_noise_is_as_strong_as_documented() -> None:
    rows = {name: np.repeat(values, 20_000) for name, values in _person().items()}
    shown_NEC = draw_channels(rows, np.random.default_rng(0))

    between_eyes_C = (shown_NEC[:, 0] - shown_NEC[:, 1]).std(axis=0) / np.sqrt(2)
    shared_C = np.sqrt(shown_NEC.mean(axis=1).var(axis=0) - between_eyes_C**2 / 2)
    assert between_eyes_C == pytest.approx([channel.eye_noise for channel in CHANNELS], rel=0.03)
    assert shared_C == pytest.approx([channel.patient_noise for channel in CHANNELS], rel=0.05)


def test_channels_spread_over_people_by_about_one_unit_and_stay_within_the_limit() -> None:
    rng = np.random.default_rng(0)
    shown_NEC = draw_channels(nhanes_factor_model().draw(5000, rng), rng)

    assert np.abs(shown_NEC).max() <= LIMIT
    assert (shown_NEC.std(axis=(0, 1)) > 0.8).all()
    assert (np.mean(np.abs(shown_NEC) == LIMIT, axis=(0, 1)) < 0.08).all()


def test_the_documentation_gives_every_channel_with_its_noise() -> None:
    lines = Path("docs/simulator.md").read_text("utf-8").splitlines()

    for channel in CHANNELS:
        row = next(line for line in lines if line.startswith(f"| `{channel.name}` |"))
        assert row.rstrip(" |").endswith(f"{channel.patient_noise:g} | {channel.eye_noise:g}")
