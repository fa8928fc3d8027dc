"""A study in an object store: moto's server speaks S3, the trials are kept in a database beside it."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow.fs as pafs
import pytest
from builders import build_dataset
from moto.server import ThreadedMotoServer

from sepl.bundle.registry import Registry
from sepl.tuning.plan import plan_study
from sepl.tuning.selection import select_winner
from sepl.tuning.settings import StudySettings
from sepl.tuning.study import StudyResult, run_study
from sepl.tuning.trials import trial_process
from sepl.tuning.trials.cluster import connect

pytestmark = pytest.mark.slow

SPACE = """
NUM_EPOCHS = 2
FIRST_POINTS = []


def space(trial):
    trial.suggest_float("learning_rate", 1e-3, 1e-2, log=True)
    return {"backbone": "test_resnet", "hidden_width": 16, "batch_size": 16, "task_split": "demographic"}
"""


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("RAY_AUTH_MODE", "disabled")
        endpoint = f"scheme=http&endpoint_override={host}:{port}"
        pafs.FileSystem.from_uri(f"s3://bucket?{endpoint}&allow_bucket_creation=true")[0].create_dir("bucket")
        yield f"s3://bucket/studies?{endpoint}"
    server.stop()


@pytest.fixture(scope="module")
def settings(storage: str, tmp_path_factory: pytest.TempPathFactory) -> StudySettings:
    folder = tmp_path_factory.mktemp("remote")
    build_dataset(folder / "data")
    (folder / "space.py").write_text(SPACE)
    return StudySettings(
        data=str(folder / "data" / "dataset"),
        space=str(folder / "space.py"),
        storage=storage,
        study="remote",
        num_trials=3,
        optuna_url=f"sqlite:///{folder}/optuna.db",
    )


@pytest.fixture(scope="module")
def result(settings: StudySettings) -> StudyResult:
    with connect(None) as cluster:
        return run_study(plan_study(settings), cluster)


def test_a_study_runs_to_its_end_in_an_object_store(result: StudyResult) -> None:
    assert result.ended == "all trials are finished"
    assert result.board.best() is not None
    assert {place.name for place in result.folder.location.list_folder()} >= {"study.json", "leaderboard.json", "tune"}


def test_a_checkpoint_in_an_object_store_can_be_gone_on_from(result: StudyResult, settings: StudySettings) -> None:
    best = result.board.best()
    assert best is not None
    surroundings = trial_process.Surroundings(
        dataset=settings.data,
        fingerprint=result.folder.read().fingerprint,
        storage=result.folder.location.uri,
        cpus=1,
        gpus=0.0,
        checkpoint_seconds=1.0,
    )
    run = trial_process.build_run(best.config, surroundings)

    trial_process.go_on(run, result.folder.load_study().trials[best.number].user_attrs["checkpoint"], surroundings)

    assert run.finished


def test_the_winner_is_published_in_the_object_store(result: StudyResult, settings: StudySettings) -> None:
    winner = select_winner(settings.storage, "remote", lambda line: None)

    bundle = Registry(result.folder.registry.uri).show("remote")

    assert bundle.bundle_id == winner.bundle_id
    assert bundle.evaluation == winner.evaluation


def test_the_record_holds_no_secret(result: StudyResult, tmp_path: Path) -> None:
    record = (result.folder.location / "study.json").read_bytes()

    assert b"AWS" not in record
    assert b"SECRET" not in record.upper()
