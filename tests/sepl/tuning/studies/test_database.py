"""A study is read where its record says, and looking makes nothing."""

from pathlib import Path
from typing import Any

import pytest

from sepl.tuning.studies.database import find_trials


def test_trials_are_found_where_the_record_says(made: Any) -> None:
    found = find_trials(made.folder, made.folder.read())

    assert found is not None
    assert len(found.trials) == 4


@pytest.mark.parametrize("kind", ["beside", "named"])
def test_no_database_is_made_by_looking(made: Any, tmp_path: Path, kind: str) -> None:
    other = tmp_path / "other.db"
    url = None if kind == "beside" else f"sqlite:///{other}"
    (made.folder.location / "optuna.db").local_path().unlink()

    assert find_trials(made.folder, made.folder.read().model_copy(update={"optuna_url": url})) is None
    assert not other.exists()
    assert not (made.folder.location / "optuna.db").exists()
