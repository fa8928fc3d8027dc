"""Scores as a table: every number with its unit, whole or absent."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from bundles import bundle_content
from hypothesis import given
from hypothesis import strategies as st

from sepl.bundle.format import compose_bundle
from sepl.errors import ConfigError
from sepl.scoring.rows import Prediction, Score
from sepl.scoring.table import ROWS_PER_GROUP, level_columns, score_schema, write_scores
from sepl.tasks import BUILT_IN_TASKS, Task, TaskTable

BUNDLE, _ = compose_bundle(**bundle_content())
MANIFEST = BUNDLE.manifest
VALUES = {
    "sex": Prediction(0.25, None, None),
    "age": Prediction(61.5, 56.5, 66.5),
    "sbp": Prediction(140.0, 120.0, 160.0),
    "hba1c": Prediction(6.1, None, None),
}
OK = Score("a.jpg", "ok", None, MANIFEST.bundle_id, VALUES, "P1", 2)
FAILED = Score("b.jpg", "failed", "empty file", MANIFEST.bundle_id)


def test_the_columns_are_the_documented_ones_with_units(tmp_path: Path) -> None:
    write_scores([[OK]], MANIFEST, str(tmp_path / "scores.parquet"))

    schema = pq.read_schema(tmp_path / "scores.parquet")

    tasks = [f"{name}{ending}" for name in MANIFEST.tasks.names for ending in ("", "_lo", "_hi")]
    assert schema.names == [
        "image",
        "patient",
        "status",
        "reason",
        "num_photographs",
        "known",
        "given_ignored",
        *tasks,
        "bundle_id",
    ]
    assert schema.field("sbp_lo").metadata[b"unit"] == b"mmHg"
    assert schema.field("sex").metadata[b"unit"] == b"probability"
    assert schema.metadata[b"bundle_id"].decode() == MANIFEST.bundle_id


def test_a_score_is_read_back_as_it_was_and_what_is_absent_is_null(tmp_path: Path) -> None:
    counts = write_scores([[OK, FAILED]], MANIFEST, str(tmp_path / "scores.parquet"))

    ok, failed = pq.read_table(tmp_path / "scores.parquet").to_pylist()

    assert counts == {"ok": 1, "failed": 1}
    assert (ok["age"], ok["age_lo"], ok["age_hi"]) == (61.5, 56.5, 66.5)
    assert (ok["hba1c"], ok["hba1c_lo"], ok["sex_hi"]) == (6.1, None, None)
    assert (failed["image"], failed["status"], failed["reason"]) == ("b.jpg", "failed", "empty file")
    assert all(failed[name] is None for name in MANIFEST.tasks.names)
    assert (ok["patient"], ok["num_photographs"]) == ("P1", 2)
    assert (failed["patient"], failed["num_photographs"]) == (None, 0)


def test_small_batches_become_large_row_groups(tmp_path: Path) -> None:
    num_rows = ROWS_PER_GROUP + 10

    write_scores(([OK] for _ in range(num_rows)), MANIFEST, str(tmp_path / "scores.parquet"))

    metadata = pq.ParquetFile(tmp_path / "scores.parquet").metadata
    assert (metadata.num_rows, metadata.num_row_groups) == (num_rows, 2)


def test_a_run_that_ends_early_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "scores.parquet").write_bytes(b"old")

    def batches():
        yield [OK]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_scores(batches(), MANIFEST, str(tmp_path / "scores.parquet"))

    assert [path.name for path in tmp_path.iterdir()] == ["scores.parquet"]
    assert (tmp_path / "scores.parquet").read_bytes() == b"old"


def test_no_photographs_give_an_empty_table_with_all_columns(tmp_path: Path) -> None:
    write_scores([], MANIFEST, str(tmp_path / "scores.parquet"))

    table = pq.read_table(tmp_path / "scores.parquet")
    assert table.num_rows == 0
    assert table.schema.names == score_schema(MANIFEST).names


@pytest.mark.parametrize(
    ("levels", "endings"),
    [
        (("none", "mild"), ("none", "mild")),
        (("Kowa VX-10", "Zeiß 500"), ("Kowa_VX_10", "Zeiß_500")),
        (("a", "A", "b"), ("a_0", "A_1", "b_2")),
        (("+", "++", "x"), ("0", "1", "x_2")),
        (("a b", "a-b"), ("a_b_0", "a_b_1")),
        (("0", "+"), ("0_0", "1")),
        (("+", "0"), ("0", "0_1")),
    ],
)
def test_columns_of_levels_are_plain_and_different(levels: tuple[str, ...], endings: tuple[str, ...]) -> None:
    task = Task(name="grade", kind="ordinal", unit="level", label="Grade", levels=levels)

    assert level_columns(task) == tuple(f"grade_p_{ending}" for ending in endings)


@given(
    st.lists(st.text(st.sampled_from("aA_ 01+ß"), min_size=1).filter(str.strip), min_size=2, max_size=6, unique=True)
)
def test_no_two_columns_of_levels_are_one_whatever_the_capitals(levels: list[str]) -> None:
    task = Task(name="grade", kind="ordinal", unit="level", label="Grade", levels=tuple(levels))

    names = [name.casefold() for name in level_columns(task)]

    assert len(set(names)) == len(levels)


def test_a_task_named_like_another_column_is_refused() -> None:
    tasks = TaskTable.of([BUILT_IN_TASKS["age"], Task(name="age_lo", kind="regression", unit="y", label="Clash")])

    with pytest.raises(ConfigError, match="age_lo"):
        score_schema(MANIFEST.model_copy(update={"tasks": tasks}))
