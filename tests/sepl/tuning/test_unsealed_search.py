"""A search whose sealed patients were read is not begun anew. No Ray: it never gets that far."""

from pathlib import Path

import pytest
from builders import build_dataset

from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import StudyError
from sepl.tuning.plan import StudyPlan, plan_study
from sepl.tuning.settings import StudySettings
from sepl.tuning.study import run_study
from sepl.tuning.trials.cluster import Cluster
from sepl.tuning.trials.packing import Node

SPACE = """
NUM_EPOCHS = 9
FIRST_POINTS = []


def space(trial):
    trial.suggest_categorical("num_experts", [1, 2])
    return {"backbone": "test_resnet", "task_split": "demographic"}
"""
CLUSTER = Cluster((Node(cpus=2, gpus=0),), is_local=True)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return build_dataset(tmp_path_factory.mktemp("data"), num_patients=8)


def plan(dataset: PreparedDataset, folder: Path, **changes: object) -> StudyPlan:
    (folder / "space.py").write_text(SPACE)
    asked = {
        "data": str(dataset.uri),
        "space": str(folder / "space.py"),
        "storage": str(folder / "runs"),
        "study": "first",
    }
    return plan_study(StudySettings.parse({**asked, **changes}, "options"))


@pytest.mark.parametrize("resume", [True, False], ids=["the database was lost", "the study's folder was lost"])
def test_a_study_that_was_tested_is_not_searched_anew(dataset: PreparedDataset, tmp_path: Path, resume: bool) -> None:
    first = plan(dataset, tmp_path)
    if resume:
        first.folder.write(first.record)
    first.folder.unsealing(dataset.fingerprint).note("trial 1")

    with pytest.raises(StudyError, match=r"study first has read the sealed test patients.*--test-again") as refusal:
        run_study(plan(dataset, tmp_path, resume=resume), CLUSTER)

    assert "\n" not in str(refusal.value)
