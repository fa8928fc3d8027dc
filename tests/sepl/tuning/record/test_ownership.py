"""A study in a database belongs to one storage."""

from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage, RDBStorage
from unsearched import CLUSTER, plan_first

from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import StudyError
from sepl.tuning.plan import StudyPlan
from sepl.tuning.record.ownership import STUDY_ID, claim
from sepl.tuning.record.record import ENDED
from sepl.tuning.study import run_study


def plan(dataset: PreparedDataset, folder: Path, storage: str, *, resume: bool = False) -> StudyPlan:
    """In a database that all storages of the folder share."""
    return plan_first(
        dataset.uri,
        folder,
        storage=str(folder / storage),
        optuna_url=f"sqlite:///{folder}/shared.db",
        num_trials=1,
        resume=resume,
    )


def end_with_one_trial(folder: Path) -> None:
    """As its driver would leave the study in the shared database."""
    study = optuna.load_study(study_name="first", storage=f"sqlite:///{folder}/shared.db")
    trial = study.ask()
    trial.report(0.5, 9)
    study.tell(trial, 0.5)
    study.set_user_attr(ENDED, "all trials are finished")


def begin(plan: StudyPlan, folder: Path) -> None:
    plan.folder.write(plan.record)
    claim(RDBStorage(f"sqlite:///{folder}/shared.db"), "first", str(plan.record.study_id), resumed=False)
    end_with_one_trial(folder)


def test_a_second_storage_does_not_take_over_the_trials_of_the_first(
    small_dataset: PreparedDataset, tmp_path: Path
) -> None:
    begin(plan(small_dataset, tmp_path, "one"), tmp_path)

    with pytest.raises(StudyError, match=r"study first .*belongs to another storage.*choose another") as refusal:
        run_study(plan(small_dataset, tmp_path, "two"), CLUSTER)

    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "two" / "first" / "study.json").exists()


def test_a_record_of_the_same_name_elsewhere_does_not_go_on_with_them(
    small_dataset: PreparedDataset, tmp_path: Path
) -> None:
    begin(plan(small_dataset, tmp_path, "one"), tmp_path)
    second = plan(small_dataset, tmp_path, "two")
    second.folder.write(second.record)

    with pytest.raises(StudyError, match="belongs to another storage"):
        run_study(plan(small_dataset, tmp_path, "two", resume=True), CLUSTER)


def test_a_study_goes_on_with_its_own_trials(small_dataset: PreparedDataset, tmp_path: Path) -> None:
    begin(plan(small_dataset, tmp_path, "one"), tmp_path)

    result = run_study(plan(small_dataset, tmp_path, "one", resume=True), CLUSTER)

    assert result.board.counts()["complete"] == 1


def test_a_study_of_a_version_without_ids_is_gone_on_with_and_gets_one(
    small_dataset: PreparedDataset, tmp_path: Path
) -> None:
    first = plan(small_dataset, tmp_path, "one")
    first.folder.write(first.record.model_copy(update={"study_id": None}))
    optuna.create_study(study_name="first", storage=f"sqlite:///{tmp_path}/shared.db", direction="maximize")
    end_with_one_trial(tmp_path)

    run_study(plan(small_dataset, tmp_path, "one", resume=True), CLUSTER)

    study = optuna.load_study(study_name="first", storage=f"sqlite:///{tmp_path}/shared.db")
    assert study.user_attrs[STUDY_ID] == first.folder.read().study_id is not None


@pytest.fixture
def storage(tmp_path: Path) -> BaseStorage:
    return RDBStorage(f"sqlite:///{tmp_path}/optuna.db")


def test_an_empty_study_that_nobody_claimed_can_be_claimed(storage: BaseStorage) -> None:
    optuna.create_study(study_name="first", storage=storage, direction="maximize")

    claim(storage, "first", "a", resumed=False)

    assert optuna.load_study(study_name="first", storage=storage).user_attrs[STUDY_ID] == "a"


def test_claiming_twice_is_as_once(storage: BaseStorage) -> None:
    for _ in range(2):
        claim(storage, "first", "a", resumed=False)

    with pytest.raises(StudyError, match="belongs to another storage"):
        claim(storage, "first", "b", resumed=True)
