"""A study made by hand: no Ray is needed to select."""

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from builders import build_dataset
from unsearched import study_record

from sepl.data.dataset.dataset import PreparedDataset
from sepl.tuning.record.record import ENDED, StudyFolder

PARAMS = {
    "backbone": "test_resnet",
    "num_epochs": 6,
    "hidden_width": 16,
    "batch_size": 8,
    "learning_rate": 3e-3,
    "task_split": "demographic",
    "num_experts": 2,
}
"""Of a trial that runs to its end in seconds."""
Make = Callable[..., None]


@pytest.fixture(scope="session")
def params() -> dict[str, object]:
    """Of a trial that runs to its end in seconds."""
    return dict(PARAMS)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return build_dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture
def make_study(tmp_path: Path, dataset: PreparedDataset) -> Make:
    """Makes a study named 'done' below tmp_path with one full trial whose best epoch was the second.

    `others` are further full trials: a best skill and what differs in its configuration; `checkpoints` are theirs.
    """

    def make(
        fingerprint: str = dataset.fingerprint,
        ended: bool = True,
        full: bool = True,
        others: tuple[tuple[float, dict[str, object]], ...] = (),
        checkpoints: tuple[str, ...] = (),
        **attributes: str,
    ) -> None:
        folder = StudyFolder.at(str(tmp_path), "done")
        study = optuna.create_study(study_name="done", storage=folder.open_optuna_storage(None), direction="maximize")
        folder.write(
            study_record(study="done", dataset=str(dataset.uri), fingerprint=fingerprint, space_sha256="", num_epochs=6)
        )
        for number, (best, changes) in enumerate(((0.3, {}), *others)):
            trial = study.ask()
            if checkpoints:
                trial.set_user_attr("checkpoint", checkpoints[number])
            for name, value in {"config": {**PARAMS, **changes}, **attributes}.items():
                trial.set_user_attr(name, value)
            for epoch, skill in enumerate([0.1, best, best], start=1):
                trial.report(skill, epoch)
            if full:
                study.tell(trial, best)
            else:
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        if ended:
            study.set_user_attr(ENDED, "all trials are finished")

    return make
