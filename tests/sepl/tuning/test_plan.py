"""What is refused before a cluster is started."""

import importlib.util
from pathlib import Path

import pytest
from builders import build_dataset

from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import ConfigError, DatasetError, SeplError, StorageError, StudyError
from sepl.training.affinity.record import Affinity, RankedSplit
from sepl.tuning.plan import StudyPlan, plan_study
from sepl.tuning.settings import StudySettings

SPACE = """
NUM_EPOCHS = 9
FIRST_POINTS = []


def space(trial):
    trial.suggest_categorical("task_split", ["anthropometric", "demographic"])
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return build_dataset(tmp_path_factory.mktemp("data"), num_patients=8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "space.py").write_text(SPACE)
    return tmp_path


def plan(dataset: PreparedDataset, folder: Path, **changes: object) -> StudyPlan:
    asked = {
        "data": str(dataset.uri),
        "space": str(folder / "space.py"),
        "storage": str(folder / "runs"),
        "study": "first",
    }
    return plan_study(StudySettings.parse({**asked, **changes}, "options"))


def test_a_plan_writes_nothing(dataset: PreparedDataset, folder: Path) -> None:
    plan(dataset, folder)

    assert not (folder / "runs").exists()


def test_the_space_is_that_of_the_dataset(dataset: PreparedDataset, folder: Path) -> None:
    space = plan(dataset, folder).space

    class Trial:
        def suggest_categorical(self, name: str, choices: list[str]) -> str:
            self.choices = choices
            return choices[0]

    trial = Trial()
    space.propose(trial)

    assert trial.choices == ["anthropometric"]  # age and sex are all the priors that these patients have


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"data": "/nowhere"}, DatasetError, "/nowhere"),
        ({"space": "nowhere.py"}, ConfigError, "nowhere.py"),
        ({"study": "../elsewhere"}, ConfigError, "--study should be"),
        ({"study": "registry"}, ConfigError, "--study should be"),
        ({"resume": True}, StudyError, "--study should name a study in"),
        ({"time_budget": "soon"}, ConfigError, "--time-budget should be like"),
        ({"num_trials": 0}, ConfigError, "--num-trials should be at least 1, was 0"),
        ({"max_parameters": 0}, ConfigError, "--max-parameters should be at least 1, was 0"),
        ({"sampler": "best"}, ConfigError, "sampler"),
        ({"cpu_hours": -1.0}, ConfigError, "--cpu-hours should be at least 0, was -1.0"),
        ({"max_cost": 5.0}, ConfigError, "--max-cost should come with --price-per-hour, was 5.0 without a price"),
        ({"from_study": "first"}, ConfigError, "--from-study should be another study than --study"),
        ({"from_study": "zeroth"}, ConfigError, "--from-study should name a study of the storage"),
        ({"seed": -1}, ConfigError, "--seed should be at least 0, was -1"),
        ({"storage": "s3://bucket/studies?region=none"}, ConfigError, "--optuna-url should name a database"),
        ({"optuna_url": "no url"}, ConfigError, "--optuna-url should be like"),
        ({"optuna_url": "sqlite://"}, ConfigError, "--optuna-url should name a file, not a database in memory"),
        ({"optuna_url": "sqlite:///:memory:"}, ConfigError, "not a database in memory"),
        ({"optuna_url": "sqlite:///file:a?mode=memory&uri=true"}, ConfigError, "not a database in memory"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    dataset: PreparedDataset, folder: Path, changes: dict[str, object], error: type[SeplError], message: str
) -> None:
    with pytest.raises(error, match=message) as refusal:
        plan(dataset, folder, **changes)

    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("package", ["mlflow", "wandb"])
def test_a_log_without_its_package_is_refused(dataset: PreparedDataset, folder: Path, package: str) -> None:
    if importlib.util.find_spec(package) is not None:
        pytest.skip(f"{package} is installed")

    with pytest.raises(ConfigError, match=f"--log {package} needs a package that is not installed: pip install"):
        plan(dataset, folder, log=package)


def test_a_password_in_the_databases_url_is_refused_without_showing_it(dataset: PreparedDataset, folder: Path) -> None:
    with pytest.raises(ConfigError, match="no password") as refusal:
        plan(dataset, folder, optuna_url="postgresql://me:hush@localhost/db")

    assert "hush" not in str(refusal.value)


def test_a_databases_file_is_kept_with_its_whole_path(
    dataset: PreparedDataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)

    record = plan(dataset, folder, optuna_url="sqlite:///trials.db").record

    assert record.optuna_url == f"sqlite:///{folder}/trials.db"
    assert plan(dataset, folder, optuna_url=record.optuna_url).record.optuna_url == record.optuna_url


def test_a_study_is_not_begun_twice(dataset: PreparedDataset, folder: Path) -> None:
    first = plan(dataset, folder)
    first.folder.write(first.record)

    with pytest.raises(StudyError, match="--resume or choose another"):
        plan(dataset, folder)


def test_the_same_question_is_resumed(dataset: PreparedDataset, folder: Path) -> None:
    first = plan(dataset, folder, seed=7)
    first.folder.write(first.record)

    assert plan(dataset, folder, resume=True).record == first.record


@pytest.mark.parametrize("option", ["--data", "--space", "--optuna-url", "--sampler", "--max-parameters"])
def test_another_question_is_refused_on_resume(
    dataset: PreparedDataset, folder: Path, tmp_path_factory: pytest.TempPathFactory, option: str
) -> None:
    first = plan(dataset, folder)
    first.folder.write(first.record)
    (folder / "other.py").write_text(SPACE.replace("9", "3"))
    changes = {
        "--data": {"data": str(build_dataset(folder / "other", num_patients=9).uri)},
        "--space": {"space": str(folder / "other.py")},
        "--optuna-url": {"optuna_url": "sqlite:///elsewhere.db"},
        "--sampler": {"sampler": "cqr"},
        "--max-parameters": {"max_parameters": 5},
    }

    with pytest.raises(StudyError, match=f"{option} should be as when study first began"):
        plan(dataset, folder, resume=True, **changes[option])


def test_limits_are_kept_and_need_not_be_said_again(dataset: PreparedDataset, folder: Path) -> None:
    first = plan(dataset, folder, max_parameters=10**6, max_ms_per_photograph=2.5, sampler="tpe_rank")
    first.folder.write(first.record)

    assert (first.record.max_parameters, first.record.max_ms_per_photograph) == (10**6, 2.5)
    assert plan(dataset, folder, resume=True, sampler="tpe_rank").record == first.record


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """With as many validation patients as a study on known values needs."""
    return build_dataset(tmp_path_factory.mktemp("large"), num_patients=160, image_size=16)


def test_values_that_a_study_knows_are_kept_and_need_not_be_said_again(large: PreparedDataset, folder: Path) -> None:
    first = plan(large, folder, known_pattern="age+sex")
    first.folder.write(first.record)

    assert first.record.known_pattern == "sex+age"
    for said in (None, "age,sex"):
        assert plan(large, folder, resume=True, known_pattern=said).record == first.record
    with pytest.raises(
        StudyError, match=r"--known-pattern should be as when study first began; .* was sex.age, is age"
    ):
        plan(large, folder, resume=True, known_pattern="age")


def test_a_study_that_knows_nothing_cannot_go_on_knowing_something(large: PreparedDataset, folder: Path) -> None:
    first = plan(large, folder)
    first.folder.write(first.record)

    assert first.record.known_pattern is None
    with pytest.raises(StudyError, match="--known-pattern should be as when study first began"):
        plan(large, folder, resume=True, known_pattern="age")


def test_known_values_that_nobody_could_judge_are_refused(dataset: PreparedDataset, folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--known-pattern should be some of sex, age, .*; was 'shoe_size'$"):
        plan(dataset, folder, known_pattern="shoe_size")
    with pytest.raises(
        ConfigError, match=r"^--known-pattern should be known of 25 validation patients or more, age was"
    ):
        plan(dataset, folder, known_pattern="age")


def test_an_affinitys_best_splits_are_offered_beside_the_spaces_and_kept_with_the_study(
    dataset: PreparedDataset, folder: Path
) -> None:
    affinity = write_affinity(folder, dataset.fingerprint, ["hba1c", "sex+age", "age+sbp", "sbp", "diabetes"])
    offered: list[str] = []

    class Trial:
        def suggest_categorical(self, name: str, choices: list[str]) -> str:
            offered.extend(choices)
            return choices[0]

    planned = plan(dataset, folder, affinity=affinity)
    planned.space.propose(Trial())
    planned.folder.write(planned.record, planned.affinity)

    assert offered == ["anthropometric", "hba1c", "age+sbp"]  # sex+age is what anthropometric comes to here
    again = plan(dataset, folder, resume=True)
    assert again.record == planned.record
    other = write_affinity(folder, dataset.fingerprint, ["age"])
    with pytest.raises(StudyError, match="--affinity should be as when study first began"):
        plan(dataset, folder, resume=True, affinity=other)


def test_an_affinity_of_another_dataset_is_refused(dataset: PreparedDataset, folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"--affinity should be of dataset .*, was measured on elsewhere"):
        plan(dataset, folder, affinity=write_affinity(folder, "elsewhere", ["age"]))


def test_an_affinity_for_a_space_that_searches_no_split_is_refused(dataset: PreparedDataset, folder: Path) -> None:
    (folder / "space.py").write_text(
        SPACE.replace('"task_split", ["anthropometric", "demographic"]', '"family", ["sepl"]')
    )

    with pytest.raises(ConfigError, match=r"--space should ask for task_split, which .*space.py does not"):
        plan(dataset, folder, affinity=write_affinity(folder, dataset.fingerprint, ["age"]))


def write_affinity(folder: Path, fingerprint: str, splits: list[str]) -> str:
    names = ("sex", "age", "sbp", "hba1c", "diabetes")
    unknown = ((None,) * 5,) * 5
    affinity = Affinity(
        tasks=names,
        fingerprint=fingerprint,
        num_steps=100,
        num_measurements=8,
        extra_time=0.1,
        skills=(0.5,) * 5,
        label_correlation=unknown,
        gradient_cosine=unknown,
        lookahead=unknown,
        benefit=unknown,
        splits=tuple(RankedSplit(task_split=split, score=0.1) for split in splits),
    )
    path = folder / "affinity.json"
    path.write_text(affinity.model_dump_json())
    return str(path)


def test_a_storage_that_is_a_file_or_below_one_is_refused(dataset: PreparedDataset, folder: Path) -> None:
    file = folder / "file"
    file.write_text("")

    for storage in (file, file / "deeper"):
        with pytest.raises(StorageError, match=f"--storage should be a folder .*{file}"):
            plan(dataset, folder, storage=str(storage))
