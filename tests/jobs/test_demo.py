"""The demo's comparison of served rows with offline ones, and its stages; without a server."""

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from jobs._demo import DemoError, compare_scores, run_stage


def served(image: str = "a.jpg", **changes: Any) -> dict[str, Any]:
    """A row as the server gives it: a probability without an interval, a value with one."""
    values = {
        "sex": {"value": 0.75, "low": None, "high": None, "unit": ""},
        "age": {"value": 50.0, "low": 40.0, "high": 60.0, "unit": "years"},
    }
    return {"image": image, "status": "ok", "values": values, **changes}


def offline(score: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The row of a score table that is equal to it, but for the changes."""
    row = {"image": score["image"], "status": score["status"]}
    for task, prediction in score["values"].items():
        row |= {task: prediction["value"], f"{task}_lo": prediction["low"], f"{task}_hi": prediction["high"]}
    return {**row, **changes}


SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("image", "status")]
    + [(f"{task}{ending}", pa.float64()) for task in ("sex", "age") for ending in ("", "_lo", "_hi")]
)


def compared(scores: list[dict[str, Any]], rows: list[dict[str, Any]], folder: Path) -> str:
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), folder / "scores.parquet")
    console = Console(file=(file := io.StringIO()), width=100)
    compare_scores(console, scores, str(folder / "scores.parquet"))
    return file.getvalue()


def test_equal_rows_are_shown_in_any_order(tmp_path: Path) -> None:
    scores = [served("b.jpg"), served("a.jpg")]

    told = compared(scores, [offline(score) for score in reversed(scores)], tmp_path)

    assert "50.0 [40, 60]" in told
    assert "0.75" in told
    assert "age, years" in told
    assert "equal to the offline scores: 2 rows, 4 values with their intervals" in told


@pytest.mark.parametrize(
    ("column", "value"),
    [("sex", 0.76), ("age", 50.01), ("age_lo", 39.9), ("age_hi", 60.1), ("age_hi", None), ("age", None), ("sex_lo", 0)],
)
def test_a_number_that_is_another_is_told_with_both(column: str, value: float | None, tmp_path: Path) -> None:
    score = served()

    with pytest.raises(DemoError, match=rf"a\.jpg: {column} served .*, offline {value}"):
        compared([score], [offline(score, **{column: value})], tmp_path)


def test_another_status_is_told(tmp_path: Path) -> None:
    score = served()

    with pytest.raises(DemoError, match=r"a\.jpg: served ok, offline rejected"):
        compared([score], [offline(score, status="rejected")], tmp_path)


@given(share=st.floats(-1e-6, 1e-6))
def test_sums_in_another_order_are_no_difference(share: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    score = served()

    told = compared([score], [offline(score, age=50.0 * (1 + share))], tmp_path_factory.mktemp("rows"))

    assert "equal to the offline scores" in told


def test_a_stage_is_shown_as_a_user_would_type_it() -> None:
    console = Console(file=(file := io.StringIO()), width=100)

    run_stage(console, "Timed", "timeit", number=1, repeat=1)

    assert "$ python -m timeit --number 1 --repeat 1" in file.getvalue()


def test_a_stage_that_fails_ends_the_demo_with_its_code() -> None:
    with pytest.raises(DemoError, match=r"Timed: python -m timeit ended with exit code 2"):
        run_stage(Console(file=io.StringIO()), "Timed", "timeit", no_such_option=1)
