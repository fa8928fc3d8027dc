"""A cohort file beside its table, as most tests of this room want them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cohort_files import AGE, HEADER, SEX, TABLE


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes cohort.toml and labels.csv and returns the path of the first."""

    def _write(toml: str = HEADER + AGE + SEX, table: str = TABLE) -> Path:
        (tmp_path / "cohort.toml").write_text(toml, encoding="utf-8")
        (tmp_path / "labels.csv").write_text(table, encoding="utf-8")
        return tmp_path / "cohort.toml"

    return _write
