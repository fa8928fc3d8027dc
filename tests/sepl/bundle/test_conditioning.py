"""What a bundle keeps of known values, and how sets of them are written."""

import pytest

from sepl.bundle.conditioning import parse_pattern
from sepl.errors import ConfigError
from sepl.tasks import BUILT_IN_TASKS, TaskTable

TASKS = TaskTable.of(BUILT_IN_TASKS[name] for name in ("sex", "age", "sbp"))


@pytest.mark.parametrize("text", ["age,sex", "sex+age", " age , sex "])
def test_a_pattern_is_written_with_commas_or_plus_in_any_order(text: str) -> None:
    assert parse_pattern(text, TASKS, "--known") == ("sex", "age")


@pytest.mark.parametrize("text", ["", "shoe_size", "age,age", "age,", "sex,age,sbp"])
def test_what_is_no_pattern_is_said_in_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--known should be some of sex, age, sbp, each once .*; was '") as refusal:
        parse_pattern(text, TASKS, "--known")

    assert "\n" not in str(refusal.value)
