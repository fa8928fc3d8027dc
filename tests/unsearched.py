"""Studies that are planned and never searched, so that their tests need no Ray."""

from pathlib import Path

from sepl.tuning.plan import StudyPlan, plan_study
from sepl.tuning.record.record import StudyRecord
from sepl.tuning.settings import StudySettings
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


def study_record(study: str = "made", **changes: object) -> StudyRecord:
    """Of a study that nobody planned."""
    told = {
        "study": study,
        "dataset": "/data",
        "fingerprint": "f",
        "space": "space.py",
        "space_sha256": "s",
        "num_epochs": 3,
        "seed": 0,
        "optuna_url": None,
    }
    return StudyRecord.parse({**told, **changes}, "record")


def plan_first(data: str, folder: Path, **changes: object) -> StudyPlan:
    """The study `first` of a prepared dataset, with `folder/runs` as its storage unless the changes say otherwise."""
    (folder / "space.py").write_text(SPACE)
    asked = {"data": data, "space": str(folder / "space.py"), "storage": str(folder / "runs"), "study": "first"}
    return plan_study(StudySettings.parse({**asked, **changes}, "options"))
