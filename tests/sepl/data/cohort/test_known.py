"""Columns of known values: what TASK=COLUMN:UNIT means, and a column whose own name has a colon."""

import re
from pathlib import Path

import numpy as np
import pytest

from sepl.data.cohort.known import name_known_columns, parse_known_columns
from sepl.data.tables.table import CohortTable, read_table
from sepl.errors import CohortError, ConfigError
from sepl.tasks import BUILT_IN_TASKS, TaskTable

TASKS = TaskTable.of(BUILT_IN_TASKS[name] for name in ("sex", "age", "sbp"))


@pytest.fixture
def table(tmp_path: Path) -> CohortTable:
    lines = ["Alter;Alter:months;sex:M;Geschlecht", "61;480;M;M", "50;600;F;", ";;;F"]
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    return read_table(tmp_path / "table.csv")


def read(table: CohortTable, text: str) -> list[float]:
    known = parse_known_columns([text], TASKS)
    known.check(table)
    return known.read(table)[:, 0].tolist()


def test_a_unit_stands_behind_the_columns_name(table: CohortTable) -> None:
    np.testing.assert_allclose(read(table, "age=Alter"), [61, 50, np.nan])
    np.testing.assert_allclose(read(table, "age = Alter:y"), [61, 50, np.nan])


def test_a_column_of_exactly_that_name_is_meant_first(table: CohortTable) -> None:
    np.testing.assert_allclose(read(table, "age=Alter:months:months"), [40, 50, np.nan])
    assert read(table, "age=Alter:months")[:2] == [np.inf, np.inf]  # 480 years are nobody's: not Alter in months


def test_the_code_of_a_male_stands_behind_a_column_of_sex_unless_that_is_its_name(table: CohortTable) -> None:
    np.testing.assert_allclose(read(table, "sex=sex:M"), [1, 0, np.nan])
    np.testing.assert_allclose(read(table, "sex=Geschlecht:M"), [1, np.nan, 0])


def test_the_columns_to_read_are_all_that_may_be_meant() -> None:
    known = parse_known_columns(["age=Alter:months", "sex=Geschlecht"], TASKS)

    assert known.tasks == ("age", "sex")
    assert known.columns == ("Alter:months", "Alter", "Geschlecht")
    assert known.columns_among(["Alter"]) == {"age": "Alter", "sex": "Geschlecht"}
    assert known.columns_among(["Alter:months"]) == {"age": "Alter:months", "sex": "Geschlecht"}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["age"], "known column should be TASK=COLUMN or TASK=COLUMN:UNIT, was 'age'"),
        (["age=a", "age=b"], "known column of age should be one, was 'a' and 'b'"),
        (["shoe=a"], "known column should be of sex, age, sbp; was of 'shoe'"),
        (["age=Alter:weeks"], "known column of age: unit should be one of y, months, days, was 'weeks'"),
    ],
)
def test_what_names_no_column_is_one_line(table: CohortTable, texts: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        parse_known_columns(texts, TASKS).check(table)


def test_a_column_that_is_not_there_or_no_text_is_one_line(table: CohortTable) -> None:
    with pytest.raises(CohortError, match="known age column should be a column of"):
        read(table, "age=years:months")
    with pytest.raises(ConfigError, match="known column of age should be a column's name, was 3"):
        name_known_columns({"age": 3}, TASKS)  # type: ignore[dict-item]
