"""Evaluation of a bundle end to end."""

from pathlib import Path
from typing import Literal

import pytest
from builders import build_dataset
from bundles import bundle_content, planted_conditioning

from jobs import evaluate
from sepl.bundle.conditioning import Conditioning
from sepl.bundle.format import Intervals, read_bundle, write_bundle
from sepl.bundle.ledger import FOLDER, Ledger
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.dataset.scaling import LabelScaler
from sepl.data.imaging.photograph import ImageSpec
from sepl.data.imaging.quality import Limits, QualityThresholds
from sepl.errors import ConfigError, DatasetError
from sepl.metrics import Evaluation
from sepl.models.build import build_network
from sepl.storage import resolve
from sepl.tasks import TaskTable


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return build_dataset(tmp_path_factory.mktemp("data"), num_patients=24)


def test_the_file_and_the_table_tell_the_same_evaluation(
    dataset: PreparedDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _write_bundle(tmp_path / "bundle", dataset)

    evaluate.main(str(tmp_path / "bundle"), dataset.uri, str(tmp_path / "evaluation.json"), device="cpu")

    text = (tmp_path / "evaluation.json").read_text()
    evaluation = Evaluation.parse_json(text, "evaluation.json")
    told = capsys.readouterr().out
    assert evaluation.cohort_split == "test"
    assert evaluation.num_patients == dataset.manifest.num_patients["test"]
    assert {task.name: task.reachable_skill for task in evaluation.tasks}["sbp"] == 0.9
    assert str(evaluation["sbp"].skill) in told
    assert f"{evaluation['sbp'].measures['mae'].value:.1f} mmHg" in told


def test_a_model_that_says_the_median_has_no_skill_and_full_coverage(dataset: PreparedDataset, tmp_path: Path) -> None:
    """A network whose outputs are all zero is the median predictor."""
    _write_bundle(tmp_path / "bundle", dataset, is_zero=True)

    evaluate.main(str(tmp_path / "bundle"), dataset.uri, str(tmp_path / "evaluation.json"), device="cpu")

    evaluation = Evaluation.parse_json((tmp_path / "evaluation.json").read_text(), "evaluation.json")
    for name in ("age", "sbp"):
        task = evaluation[name]
        assert task.measures["mae"] == task.measures["median_mae"]
        assert task.skill.value == pytest.approx(0.0, abs=1e-9)
        assert task.interval_coverage is not None
        assert task.interval_coverage.value == 1.0


def test_other_tasks_or_units_are_refused(dataset: PreparedDataset, tmp_path: Path) -> None:
    first, *others = dataset.tasks
    _write_bundle(tmp_path / "units", dataset, tasks=TaskTable.of([first.model_copy(update={"unit": "%"}), *others]))

    with pytest.raises(DatasetError, match=r"tasks should be the bundle's.*%"):
        evaluate.main(str(tmp_path / "units"), dataset.uri, str(tmp_path / "evaluation.json"))
    assert not (tmp_path / "evaluation.json").exists()


def test_another_image_size_is_refused(dataset: PreparedDataset, tmp_path: Path) -> None:
    _write_bundle(tmp_path / "large", dataset, image=ImageSpec(size=64))

    with pytest.raises(DatasetError, match="64 px, cropped to the field of view; were 32 px"):
        evaluate.main(str(tmp_path / "large"), dataset.uri, str(tmp_path / "evaluation.json"))


def test_other_limits_of_quality_than_the_bundles_are_told_in_one_line(
    dataset: PreparedDataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The drawn cohort asks for nothing, the bundle for sharp photographs."""
    assert dataset.manifest.quality is not None
    sharper = dataset.manifest.quality.model_copy(update={"sharpness": Limits(low=0.7, high=9.0)})
    _write_bundle(tmp_path / "bundle", dataset, quality=sharper)

    evaluate.main(str(tmp_path / "bundle"), dataset.uri, str(tmp_path / "evaluation.json"), device="cpu")

    (told,) = [record.getMessage() for record in caplog.records if "quality" in record.getMessage()]
    assert told == (
        f"{dataset.uri}: photographs passed other limits of quality than the bundle's: sharpness none, not 0.7 to 9"
    )
    assert (tmp_path / "evaluation.json").exists()


def test_equal_limits_of_quality_are_not_told(
    dataset: PreparedDataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _write_bundle(tmp_path / "bundle", dataset, quality=dataset.manifest.quality)

    evaluate.main(str(tmp_path / "bundle"), dataset.uri, str(tmp_path / "evaluation.json"), device="cpu")

    assert not [record for record in caplog.records if "quality" in record.getMessage()]


@pytest.mark.parametrize(
    ("known", "patterns"),
    [((), [("age", "sex")]), (("sbp",), [("sbp",)]), (("age,sex", "hba1c"), [("sex", "age"), ("hba1c",)])],
)
def test_known_values_are_those_asked_for_or_else_the_declared_ones(
    dataset: PreparedDataset,
    tmp_path: Path,
    known: tuple[str, ...],
    patterns: list[tuple[str, ...]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    _write_bundle(tmp_path / "bundle", dataset, conditioning=planted_conditioning(dataset.tasks))

    evaluate.main(str(tmp_path / "bundle"), dataset.uri, str(tmp_path / "evaluation.json"), known=known, device="cpu")

    evaluation = Evaluation.parse_json((tmp_path / "evaluation.json").read_text(), "evaluation.json")
    told = capsys.readouterr().out
    assert [row.known for row in evaluation.known] == patterns
    for row in evaluation.known:
        assert f"with {' and '.join(row.known)} known" in told
        assert str(row.mean_skill.known_over_floor) in told


@pytest.mark.parametrize(
    ("known", "cohort_split", "message"),
    [
        ("shoe_size", "test", r"--known should be some of sex, age, .*was 'shoe_size'"),
        ("age,sex", "calibration", "should be evaluated on patients from whose errors .* were to be on calibration"),
    ],
)
def test_known_values_that_cannot_be_evaluated_are_refused(
    dataset: PreparedDataset, tmp_path: Path, known: str, cohort_split: Literal["calibration", "test"], message: str
) -> None:
    _write_bundle(tmp_path / "bundle", dataset, conditioning=planted_conditioning(dataset.tasks))
    out = tmp_path / "evaluation.json"

    with pytest.raises(ConfigError, match=message):
        evaluate.main(str(tmp_path / "bundle"), dataset.uri, str(out), cohort_split, (known,), device="cpu")
    assert not out.exists()


def test_known_values_of_a_bundle_that_takes_none_are_refused(dataset: PreparedDataset, tmp_path: Path) -> None:
    _write_bundle(tmp_path / "bundle", dataset)

    with pytest.raises(ConfigError, match=r"calibrate anew with `python -m jobs.calibrate"):
        evaluate.main(str(tmp_path / "bundle"), dataset.uri, str(tmp_path / "out.json"), known=("age",), device="cpu")


def test_a_reading_of_the_sealed_patients_is_counted_beside_the_output_or_in_the_registry(
    dataset: PreparedDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _write_bundle(tmp_path / "bundle", dataset)
    bundle_id = read_bundle(tmp_path / "bundle").bundle_id
    (tmp_path / "registry").mkdir()
    (tmp_path / "bundle").rename(tmp_path / "registry" / bundle_id)
    out = tmp_path / "out" / "evaluation.json"
    where = str(tmp_path / "registry" / bundle_id)

    evaluate.main(where, dataset.uri, str(out), "validation", device="cpu")
    assert not (tmp_path / "registry" / FOLDER).exists()
    for _ in range(2):
        evaluate.main(where, dataset.uri, str(out), "test", device="cpu")

    readings = Ledger(resolve(tmp_path / "registry")).readings()
    assert [(row.study, row.bundle, row.command) for row in readings] == [("drawn", bundle_id, "jobs.evaluate")] * 2
    assert "These sealed patients have been read 2 times by 1 study." in capsys.readouterr().out
    _write_bundle(tmp_path / "elsewhere", dataset)
    evaluate.main(str(tmp_path / "elsewhere"), dataset.uri, str(out), "test", device="cpu")
    assert len(Ledger(resolve(tmp_path / "out")).readings()) == 1


def _write_bundle(
    folder: Path,
    dataset: PreparedDataset,
    *,
    is_zero: bool = False,
    tasks: TaskTable | None = None,
    image: ImageSpec | None = None,
    quality: QualityThresholds | None = None,
    conditioning: Conditioning | None = None,
) -> None:
    content = bundle_content()
    network = build_network(content["config"].model, dataset.tasks, dataset.image_spec.size)
    state = {
        name: tensor * 0 if is_zero and tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }
    train = dataset.photographs("train")
    write_bundle(
        folder,
        **{
            **content,
            "tasks": tasks or dataset.tasks,
            "image": image or dataset.image_spec,
            "quality": quality or content["quality"],
            "scaler": LabelScaler.fit(train.per_patient(train.labels_NT), dataset.tasks),
            "intervals": Intervals(half_widths={"age": 1000.0, "sbp": 1000.0, "hba1c": None}),
            "state": state,
            "conditioning": conditioning,
        },
    )
