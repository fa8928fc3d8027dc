import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sepl.simulation.derive.factors import derive
from sepl.simulation.factors import FACTORS, nhanes_factor_model
from sepl.tasks import BUILT_IN_TASKS


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return pd.DataFrame(nhanes_factor_model().draw(20_000, np.random.default_rng(0)))


def test_weight_height_and_bmi_of_every_row_agree(rows: pd.DataFrame) -> None:
    bmi = rows["weight"] / (rows["height"] / 100) ** 2

    assert (bmi - rows["bmi"]).abs().max() < 0.05


@pytest.mark.parametrize("name", FACTORS)
def test_every_drawn_value_is_plausible(rows: pd.DataFrame, name: str) -> None:
    task = BUILT_IN_TASKS[name]

    assert task.low is not None
    assert task.high is not None
    assert rows[name].between(task.low, task.high).all()


def test_factors_hang_together_as_they_do_in_people(rows: pd.DataFrame) -> None:
    def correlation(one: str, other: str) -> float:
        return float(rows[one].corr(rows[other], method="spearman"))

    assert correlation("bmi", "waist") > 0.85
    assert correlation("age", "sbp") == pytest.approx(0.49, abs=0.05)
    assert correlation("sex", "creatinine") > 0.4
    assert correlation("total_cholesterol", "triglycerides") == pytest.approx(0.36, abs=0.06)


def test_sex_and_age_are_always_known_and_triglycerides_mostly_not() -> None:
    rng = np.random.default_rng(0)
    absent = [nhanes_factor_model().draw_absent(rng) for _ in range(2000)]

    assert not any({"sex", "age"} & factors for factors in absent)
    assert np.mean(["triglycerides" in factors for factors in absent]) == pytest.approx(0.61, abs=0.03)
    assert np.mean([not factors for factors in absent]) == pytest.approx(0.355, abs=0.03)


def test_the_same_generator_draws_the_same_people() -> None:
    draws = [nhanes_factor_model().draw(50, np.random.default_rng(3)) for _ in range(2)]

    assert all(np.array_equal(draws[0][name], draws[1][name]) for name in FACTORS)


@pytest.mark.real_data
def test_the_committed_model_is_what_the_script_derives(tmp_path: Path) -> None:
    derive(Path(os.environ["SEPL_REAL_DATA"]) / "nhanes_1999_2018.parquet", tmp_path / "factors.json")

    assert (tmp_path / "factors.json").read_bytes() == Path("sepl/simulation/factors.json").read_bytes()


@pytest.mark.real_data
def test_drawn_people_look_like_those_of_the_table(rows: pd.DataFrame) -> None:
    table = pd.read_parquet(Path(os.environ["SEPL_REAL_DATA"]) / "nhanes_1999_2018.parquet")
    people = table.assign(sex=(table["sex"] == "M").astype(float))[list(FACTORS)]
    middle = people.quantile(0.75) - people.quantile(0.25)

    for share in (0.1, 0.25, 0.5, 0.75, 0.9):
        apart = (rows.quantile(share) - people.quantile(share)).abs()
        assert (apart <= 0.25 * middle).drop("sex").all()  # HbA1c comes in steps of 0.1, a sixth of its middle half
        assert apart.div(middle).drop("sex").mean() < 0.06
    assert np.abs(rows.corr("spearman").to_numpy() - people.corr("spearman").to_numpy()).max() < 0.05
