"""Only the study that was named goes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundles import bundle_content

from sepl.bundle.registry import Registry
from sepl.errors import ConfigError, StorageError, StudyError
from sepl.tuning.studies.delete import delete_study
from sepl.tuning.studies.overview import Overview, list_studies
from sepl.tuning.studies.verify import verify_study


def names_in(storage: Path) -> list[str]:
    return [study.name for study in list_studies(str(storage)) if isinstance(study, Overview)]


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_deleted_study_is_gone_and_all_else_stays(
    tmp_path: Path, make_study: Callable[..., Any], is_shared: bool
) -> None:
    url = f"sqlite:///{tmp_path}/shared.db" if is_shared else None
    for name in ("one", "two"):
        make_study(tmp_path, name, optuna_url=url)
    bundle = Registry(tmp_path / "registry").add(**bundle_content())

    delete_study(str(tmp_path), "one", yes=True)

    assert names_in(tmp_path) == ["two"]
    assert not (tmp_path / "one").exists()
    assert verify_study(str(tmp_path), "two") == []
    assert Registry(tmp_path / "registry").show(bundle.bundle_id).bundle_id == bundle.bundle_id
    make_study(tmp_path, "one", optuna_url=url)  # the name is free again, also in the database


def test_it_has_to_be_meant(made: Any) -> None:
    with pytest.raises(ConfigError, match="--yes should be given to delete study made"):
        delete_study(made.storage, "made")

    assert made.folder.exists()


def test_a_study_that_a_driver_holds_stays(made: Any) -> None:
    with made.folder.only_driver(), pytest.raises(StorageError, match="another run is searching"):
        delete_study(made.storage, "made", yes=True)

    assert verify_study(made.storage, "made") == []


def test_a_study_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="should name a study"):
        delete_study(str(tmp_path), "made", yes=True)


def test_trials_of_another_storage_stay(made: Any) -> None:
    made.folder.write(made.folder.read().model_copy(update={"study_id": "other"}))

    with pytest.raises(StudyError, match="of another storage"):
        delete_study(made.storage, "made", yes=True)

    assert made.folder.exists()
